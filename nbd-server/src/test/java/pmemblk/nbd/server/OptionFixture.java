package pmemblk.nbd.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;

/** A server of one export, and options as clients write them, with data that makes sense. */
@Timeout(300)
abstract class OptionFixture {
    static final int EXPORT_NAME = 1;
    static final int ABORT = 2;
    static final int LIST = 3;
    static final int STARTTLS = 5;
    static final int INFO = 6;
    static final int GO = 7;
    static final int STRUCTURED_REPLY = 8;
    static final int LIST_META_CONTEXT = 9;
    static final int SET_META_CONTEXT = 10;
    static final int EXTENDED_HEADERS = 11;

    static final int ACK = 1;
    static final int SERVER = 2;
    static final int REP_INFO = 3;
    static final int META_CONTEXT = 4;
    static final int ERR_UNSUP = 0x8000_0001;
    static final int ERR_POLICY = 0x8000_0002;
    static final int ERR_INVALID = 0x8000_0003;
    static final int ERR_EXT_HEADER_REQD = 0x8000_000a;

    /** In place of a reply: the server hangs up. */
    static final int HANGS_UP = -1;

    static final byte[] NOTHING = {};

    NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new MemoryExport(1 << 20, false));
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of());
        server = NbdServer.start(options.withTls(InTls.offered()), new Exports(exports));
    }

    @AfterEach
    void stop() throws IOException {
        requireServing();
        server.close();
    }

    final void requireServing() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            assertEquals(0, client.call(RawClient.READ, 0, 0, 512, new byte[512]));
        }
    }

    /** The data of an option that asks for something that there is. */
    static byte[] dataOf(int code) {
        return switch (code) {
            case INFO, GO -> ByteBuffer.allocate(10).putInt(4).put(disk()).array();
            case LIST_META_CONTEXT, SET_META_CONTEXT -> contexts();
            case EXPORT_NAME -> disk();
            default -> NOTHING;
        };
    }

    private static byte[] disk() {
        return "disk".getBytes(UTF_8);
    }

    private static byte[] contexts() {
        byte[] query = "base:allocation".getBytes(UTF_8);
        return ByteBuffer.allocate(16 + query.length)
                .putInt(4)
                .put(disk())
                .putInt(1)
                .putInt(query.length)
                .put(query)
                .array();
    }

    /**
     * The types of all replies to an option, which repeat its code, or that the server hangs up.
     */
    static List<Integer> replies(RawClient client, int code) throws IOException {
        List<Integer> types = new ArrayList<>();
        do {
            byte[] header = client.in.readNBytes(20);
            if (header.length == 0) {
                types.add(HANGS_UP);
                return types;
            }
            ByteBuffer fields = ByteBuffer.wrap(header);
            assertEquals(0x3e889045565a9L, fields.getLong());
            assertEquals(code, fields.getInt());
            types.add(fields.getInt());
            int length = fields.getInt();
            assertTrue(length >= 0 && length <= 4200, () -> "a reply of " + length + " bytes");
            client.in.skipNBytes(length);
        } while (types.getLast() > ACK);
        return types;
    }
}
