package pmemblk.nbd.server;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.protocol.ReplyForm;

/** A client that says exactly what a test wants it to say, right or wrong. */
final class RawClient implements AutoCloseable {
    static final int READ = 0;
    static final int WRITE = 1;
    static final int DISC = 2;
    static final int FLUSH = 3;
    static final int TRIM = 4;
    static final int CACHE = 5;
    static final int WRITE_ZEROES = 6;
    static final int BLOCK_STATUS = 7;
    static final int PAYLOAD_LEN = 1 << 5;

    private static final int TIMEOUT_MILLIS = 20_000;

    /** What {@link #greet} goes on in TLS by; null, and it does not. */
    static @Nullable SSLContext tls;

    final Socket socket;
    DataInputStream in;
    DataOutputStream out;
    long size;
    int flags;

    /** Whether headers are extended ones. */
    private boolean extended;

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
        byte[] bytes = name.getBytes(UTF_8);
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
        out.writeInt(extended ? 0x21e41c71 : 0x25609513);
        out.writeShort(extended && command == WRITE ? commandFlags | PAYLOAD_LEN : commandFlags);
        out.writeShort(command);
        out.writeLong(cookie);
        out.writeLong(offset);
        if (extended) {
            out.writeLong(length);
        } else {
            out.writeInt((int) length);
        }
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

    /** Negotiates structured replies. */
    void structured() throws IOException {
        option(8, new byte[0]);
        if (optionReply() != 1) {
            throw new IOException("no structured replies");
        }
    }

    /** Negotiates extended headers. */
    void extended() throws IOException {
        option(11, new byte[0]);
        if (optionReply() != 1) {
            throw new IOException("no extended headers");
        }
        extended = true;
    }

    /** Negotiates replies of a form. */
    void agree(ReplyForm form) throws IOException {
        switch (form) {
            case SIMPLE -> {}
            case STRUCTURED -> structured();
            case EXTENDED -> extended();
        }
    }

    /** Goes on with requests and replies of a form that was negotiated otherwise. */
    void assume(ReplyForm form) {
        extended = form == ReplyForm.EXTENDED;
    }

    /**
     * The chunks of the next reply, which has to be to this request, and not simple.
     *
     * @param cookie if headers are extended, the request's offset too
     */
    List<Received> chunks(long cookie) throws IOException {
        out.flush();
        List<Received> chunks = new ArrayList<>();
        boolean done = false;
        while (!done) {
            int magic = in.readInt();
            done = in.readUnsignedShort() == 1;
            int type = in.readUnsignedShort();
            long answered = in.readLong();
            if (magic != (extended ? 0x6e8a278c : 0x668e33ef) || answered != cookie) {
                throw new IOException("chunk %#x to %d".formatted(magic, answered));
            }
            if (extended && in.readLong() != cookie) {
                throw new IOException("the reply has another offset than the request");
            }
            byte[] payload = new byte[extended ? (int) in.readLong() : in.readInt()];
            in.readFully(payload);
            chunks.add(new Received(type, ByteBuffer.wrap(payload)));
        }
        return chunks;
    }

    /** The chunks that a READ is answered with. */
    List<Received> read(int commandFlags, long offset, long length) throws IOException {
        request(READ, commandFlags, offset, offset, length);
        return chunks(offset);
    }

    /** What LIST or SET of metadata contexts is answered with: IDs and names, or one error. */
    List<String> contexts(boolean set, String export, String... queries) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream data = new DataOutputStream(bytes);
        data.writeInt(export.length());
        data.writeBytes(export);
        data.writeInt(queries.length);
        for (String query : queries) {
            data.writeInt(query.length());
            data.writeBytes(query);
        }
        option(set ? 10 : 9, bytes.toByteArray());
        List<String> found = new ArrayList<>();
        while (true) {
            in.skipNBytes(12);
            int type = in.readInt();
            int length = in.readInt();
            switch (type) {
                case 1 -> {
                    return found;
                }
                case 4 -> {
                    int id = in.readInt();
                    found.add(id + " " + new String(in.readNBytes(length - 4), UTF_8));
                }
                default -> {
                    in.skipNBytes(length);
                    return List.of("error " + (type & 0xff));
                }
            }
        }
    }

    /** The chunks that BLOCK_STATUS is answered with. */
    List<Received> status(int commandFlags, long offset, long length) throws IOException {
        request(BLOCK_STATUS, commandFlags, offset, offset, length);
        return chunks(offset);
    }

    /** A chunk: its type and payload. */
    record Received(int type, ByteBuffer payload) {
        private static final int NONE = 0;
        private static final int DATA = 1;
        private static final int HOLE = 2;
        private static final int STATUS = 5;
        private static final int STATUS_EXT = 6;
        private static final int ERROR = 0x8001;
        private static final int ERROR_OFFSET = 0x8002;

        /** What it says, in words, but for the data. */
        @Override
        public String toString() {
            return switch (type) {
                case DATA -> "data at %d of %d".formatted(at(), payload.capacity() - 8);
                case HOLE -> "hole at %d of %d".formatted(at(), payload.getInt(8));
                case NONE -> "done";
                case STATUS_EXT -> "extended " + extendedDescriptors();
                case STATUS -> "context %d:%s".formatted(payload.getInt(0), descriptors());
                case ERROR -> "error %d: %s".formatted(payload.getInt(0), message());
                case ERROR_OFFSET ->
                        "error %d at %d: %s"
                                .formatted(
                                        payload.getInt(0),
                                        payload.getLong(payload.capacity() - 8),
                                        message());
                default -> "type " + type + " of " + payload.capacity();
            };
        }

        private long at() {
            return payload.getLong(0);
        }

        /** Length and flags of each extent. */
        private String descriptors() {
            StringBuilder all = new StringBuilder();
            for (int at = 4; at < payload.capacity(); at += 8) {
                all.append(' ').append(Integer.toUnsignedLong(payload.getInt(at)));
                all.append('/').append(payload.getInt(at + 4));
            }
            return all.toString();
        }

        private String extendedDescriptors() {
            int count = payload.getInt(4);
            StringBuilder all = new StringBuilder("context " + payload.getInt(0) + ":");
            for (int i = 0; i < count; i++) {
                all.append(' ').append(payload.getLong(8 + 16 * i));
                all.append('/').append(payload.getLong(16 + 16 * i));
            }
            return payload.capacity() == 8 + 16 * count ? all.toString() : "miscounted";
        }

        private String message() {
            byte[] message = new byte[payload.getShort(4)];
            payload.get(6, message);
            return new String(message, UTF_8);
        }

        /** The bytes of data. */
        byte[] data() {
            byte[] data = new byte[payload.capacity() - 8];
            payload.get(8, data);
            return data;
        }
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
