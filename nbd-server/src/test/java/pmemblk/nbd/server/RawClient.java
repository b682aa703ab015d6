package pmemblk.nbd.server;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;

/** A client that says exactly what a test wants it to say, right or wrong. */
final class RawClient implements AutoCloseable {
    static final int READ = 0;
    static final int WRITE = 1;
    static final int DISC = 2;
    static final int FLUSH = 3;
    static final int TRIM = 4;
    static final int CACHE = 5;
    static final int WRITE_ZEROES = 6;

    private static final int TIMEOUT_MILLIS = 20_000;

    /** What {@link #greet} goes on in TLS by; null, and it does not. */
    static @Nullable SSLContext tls;

    final Socket socket;
    DataInputStream in;
    DataOutputStream out;
    long size;
    int flags;

    RawClient(NbdServer server) throws IOException {
        this(server, new Socket());
    }

    /** Connects this socket. */
    RawClient(NbdServer server, Socket socket) throws IOException {
        this.socket = socket;
        socket.connect((InetSocketAddress) server.addresses().getFirst(), TIMEOUT_MILLIS);
        socket.setSoTimeout(TIMEOUT_MILLIS);
        socket.setTcpNoDelay(true);
        in = in(socket);
        out = out(socket);
    }

    private static DataInputStream in(Socket socket) throws IOException {
        return new DataInputStream(new BufferedInputStream(socket.getInputStream(), 1 << 16));
    }

    private static DataOutputStream out(Socket socket) throws IOException {
        return new DataOutputStream(new BufferedOutputStream(socket.getOutputStream(), 1 << 16));
    }

    /** Connects and begins transmission on the default export. */
    static RawClient transmitting(NbdServer server) throws IOException {
        RawClient client = new RawClient(server);
        client.greet();
        client.go("");
        return client;
    }

    void greet() throws IOException {
        in.skipNBytes(18);
        out.writeInt(3);
        out.flush();
        if (tls != null) {
            startTls(tls);
        }
    }

    /** Goes on in TLS; fails if the server does not want to. */
    SSLSession startTls(SSLContext context, String... versions) throws IOException {
        option(5, new byte[0]);
        int type = optionReply();
        if (type != 1) {
            throw new IOException("STARTTLS was answered with %#x".formatted(type));
        }
        SSLSocket encrypted =
                (SSLSocket)
                        context.getSocketFactory()
                                .createSocket(socket, "localhost", socket.getPort(), true);
        if (versions.length > 0) {
            encrypted.setEnabledProtocols(versions);
        }
        encrypted.startHandshake();
        in = in(encrypted);
        out = out(encrypted);
        return encrypted.getSession();
    }

    void option(int code, byte[] data) throws IOException {
        out.writeLong(0x49484156454f5054L);
        out.writeInt(code);
        out.writeInt(data.length);
        out.write(data);
        out.flush();
    }

    /** The type of the next reply to an option; its data is thrown away but for size and flags. */
    int optionReply() throws IOException {
        in.skipNBytes(12);
        int type = in.readInt();
        int length = in.readInt();
        if (type == 3 && length == 12) {
            in.skipNBytes(2);
            size = in.readLong();
            flags = in.readUnsignedShort();
        } else {
            in.skipNBytes(length);
        }
        return type;
    }

    int info(int code, String name) throws IOException {
        byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        ByteBuffer data = ByteBuffer.allocate(6 + bytes.length);
        option(code, data.putInt(bytes.length).put(bytes).putShort((short) 0).array());
        int type = optionReply();
        while (type == 3) {
            type = optionReply();
        }
        return type;
    }

    void go(String name) throws IOException {
        int type = info(7, name);
        if (type != 1) {
            throw new IOException("GO was answered with " + type);
        }
    }

    void request(int command, int commandFlags, long cookie, long offset, long length)
            throws IOException {
        out.writeInt(0x25609513);
        out.writeShort(commandFlags);
        out.writeShort(command);
        out.writeLong(cookie);
        out.writeLong(offset);
        out.writeInt((int) length);
    }

    /** The error of the next reply, which has to be to this request; its data goes to the array. */
    int reply(long cookie, byte[] data) throws IOException {
        out.flush();
        int magic = in.readInt();
        int error = in.readInt();
        long answered = in.readLong();
        if (magic != 0x67446698 || answered != cookie) {
            throw new IOException("reply %#x to %d".formatted(magic, answered));
        }
        if (error == 0) {
            in.readFully(data);
        }
        return error;
    }

    int call(int command, int commandFlags, long offset, long length, byte[] payload)
            throws IOException {
        long cookie = 0x7000_0000_0000_0000L | offset;
        request(command, commandFlags, cookie, offset, length);
        if (command == WRITE) {
            out.write(payload);
            return reply(cookie, new byte[0]);
        }
        return reply(cookie, command == READ ? payload : new byte[0]);
    }

    /** Whether the server has hung up, once all that it said has been read. */
    boolean isHungUp() throws IOException {
        out.flush();
        try {
            while (in.read() >= 0) {
                in.skipNBytes(in.available());
            }
            return true;
        } catch (SocketException | SSLException | EOFException reset) {
            return true;
        }
    }

    /** Ends the connection by a reset. */
    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
