package pmemblk.it;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ProtocolException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/**
 * A plain NBD client on TCP, by the protocol's document: fixed newstyle, NBD_OPT_GO, simple
 * replies. Requests may be sent ahead of their replies. For one thread.
 */
final class NbdConnection implements AutoCloseable {
    static final int READ = 0;
    static final int WRITE = 1;
    static final int DISC = 2;
    static final int FLUSH = 3;
    static final int TRIM = 4;
    static final int WRITE_ZEROES = 6;
    static final int FUA = 1;
    static final int ESHUTDOWN = 108;

    private static final long NBD_MAGIC = 0x4e42444d41474943L;
    private static final long OPTION_MAGIC = 0x49484156454f5054L;
    private static final long OPTION_REPLY_MAGIC = 0x3e889045565a9L;
    private static final int REQUEST_MAGIC = 0x25609513;
    private static final int SIMPLE_REPLY_MAGIC = 0x67446698;
    private static final int FIXED_NEWSTYLE_NO_ZEROES = 3;
    private static final int OPT_GO = 7;
    private static final int REP_ACK = 1;
    private static final int REP_INFO = 3;
    private static final int INFO_EXPORT = 0;
    private static final Duration REPLY_LIMIT = Duration.ofSeconds(60);

    private final Socket socket;
    private final DataInputStream in;
    private final DataOutputStream out;
    private final Map<Long, Integer> readLengths = new HashMap<>();
    private long nextCookie = 1;
    private long exportSize;

    /** The answer to the request with that cookie; {@code data} is empty but for a READ. */
    record Reply(long cookie, int error, ByteBuffer data) {
        byte[] bytes() {
            byte[] bytes = new byte[data.remaining()];
            data.get(data.position(), bytes);
            return bytes;
        }
    }

    NbdConnection(InetSocketAddress address, String exportName) throws IOException {
        this(address, exportName, 1 << 20);
    }

    /** A connection that holds back up to so many bytes of requests, and has memory for them. */
    NbdConnection(InetSocketAddress address, String exportName, int bufferSize) throws IOException {
        socket = new Socket(address.getAddress(), address.getPort());
        socket.setTcpNoDelay(true);
        socket.setSoTimeout((int) REPLY_LIMIT.toMillis());
        in = new DataInputStream(socket.getInputStream());
        out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream(), bufferSize));
        handshake(exportName);
    }

    private void handshake(String exportName) throws IOException {
        require(NBD_MAGIC, in.readLong());
        require(OPTION_MAGIC, in.readLong());
        require(FIXED_NEWSTYLE_NO_ZEROES, in.readUnsignedShort());
        byte[] name = exportName.getBytes(StandardCharsets.UTF_8);
        out.writeInt(FIXED_NEWSTYLE_NO_ZEROES);
        out.writeLong(OPTION_MAGIC);
        out.writeInt(OPT_GO);
        out.writeInt(4 + name.length + 2);
        out.writeInt(name.length);
        out.write(name);
        out.writeShort(0);
        out.flush();
        int type;
        do {
            require(OPTION_REPLY_MAGIC, in.readLong());
            require(OPT_GO, in.readInt());
            type = in.readInt();
            ByteBuffer data = ByteBuffer.wrap(in.readNBytes(in.readInt()));
            if (type == REP_INFO && data.getShort() == INFO_EXPORT) {
                exportSize = data.getLong();
            }
        } while (type == REP_INFO);
        require(REP_ACK, type);
    }

    /** Bytes that the export has. */
    long exportSize() {
        return exportSize;
    }

    /** Sends a request, or at least keeps it for {@link #receive}; returns its cookie. */
    long send(int command, int flags, long offset, int length, byte[] payload) throws IOException {
        long cookie = nextCookie++;
        out.writeInt(REQUEST_MAGIC);
        out.writeShort(flags);
        out.writeShort(command);
        out.writeLong(cookie);
        out.writeLong(offset);
        out.writeInt(length);
        out.write(payload);
        if (command == READ) {
            readLengths.put(cookie, length);
        }
        return cookie;
    }

    /** Sends a READ, or at least keeps it for {@link #receive}; returns its cookie. */
    long sendRead(long offset, int length) throws IOException {
        return send(READ, 0, offset, length, new byte[0]);
    }

    /** Sends what is held back. */
    void flush() throws IOException {
        out.flush();
    }

    /** Sends what is held back and waits for the next reply, to whichever request it is. */
    Reply receive() throws IOException {
        out.flush();
        require(SIMPLE_REPLY_MAGIC, in.readInt());
        int error = in.readInt();
        long cookie = in.readLong();
        Integer length = readLengths.remove(cookie);
        byte[] data = new byte[length == null || error != 0 ? 0 : length];
        in.readFully(data);
        return new Reply(cookie, error, ByteBuffer.wrap(data));
    }

    /** Sends what is held back and waits for the first byte of a reply, which is then lost. */
    void awaitReply() throws IOException {
        out.flush();
        if (in.read() < 0) {
            throw new ProtocolException("the server hung up");
        }
    }

    /** Reads a range, with no other request under way. */
    byte[] read(long offset, int length) throws IOException {
        sendRead(offset, length);
        Reply reply = receive();
        require(0, reply.error);
        return reply.bytes();
    }

    private static void require(long expected, long found) throws ProtocolException {
        if (expected != found) {
            throw new ProtocolException(
                    "expected %#x, the server sent %#x".formatted(expected, found));
        }
    }

    /** Ends the connection as a client does that is done. */
    void disconnect() throws IOException {
        send(DISC, 0, 0, 0, new byte[0]);
        out.flush();
        close();
    }

    /** Ends the connection by a reset. */
    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        close();
    }

    /** Without a word to the server. */
    @Override
    public void close() throws IOException {
        socket.close();
    }
}
