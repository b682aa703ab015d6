package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.ExtentState;
import pmemblk.nbd.export.ExtentVisitor;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.server.RawClient.Received;

/** Headers with lengths of 64 bits. */
@Timeout(60)
class ExtendedHeadersTest {
    private static final long SIZE = 1L << 50;
    private static final int BLOCK = 65536;
    private static final int EXT_HEADER_REQD = 0x8000_000a;
    private static final int REQ_ONE = 8;
    private static final String[] CONTEXTS = {
        "base:allocation", "x-pmemblk:state", "x-pmemblk:atomic-unit"
    };

    private final HugeExport huge = new HugeExport();
    private NbdServer server;
    private RawClient client;

    /** Zeroes for ever, but for an error at 1 TiB; remembers what it was asked for. */
    private static final class HugeExport extends DescribedExport {
        private static final long ERROR_OFFSET = 1L << 40;
        private final Queue<String> calls = new ConcurrentLinkedQueue<>();

        HugeExport() {
            super(new ExportInfo(SIZE, BLOCK, BLOCK, false, "huge"));
        }

        @Override
        public boolean writeMayBlock(long length, boolean fua) {
            return length > BLOCK;
        }

        @Override
        public void extents(long offset, long length, ExtentVisitor visitor) {
            boolean hasError = offset <= ERROR_OFFSET && offset + length > ERROR_OFFSET;
            long before = hasError ? ERROR_OFFSET - offset : length;
            if (before > 0) {
                visitor.extent(ExtentState.ZERO, before);
            }
            if (hasError) {
                visitor.extent(ExtentState.ERROR, Math.min(BLOCK, length - before));
            }
        }

        @Override
        public void write(long offset, ByteBuffer source) {
            calls.add("write %d at %d".formatted(source.remaining(), offset));
        }

        @Override
        public void zero(long offset, long length) {
            calls.add("zero %d at %d".formatted(length, offset));
        }

        @Override
        public void trim(long offset, long length) {
            calls.add("trim %d at %d".formatted(length, offset));
        }

        @Override
        public void flush() {
            calls.add("flush");
        }

        /** Where the changes of one kind end that begin here and lie side by side. */
        long endOf(String kind, long start) {
            long end = start;
            for (String call : calls) {
                String[] words = call.split(" ", -1);
                if (words[0].equals(kind) && Long.parseLong(words[3]) == end) {
                    end += Long.parseLong(words[1]);
                }
            }
            return end;
        }
    }

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("huge", huge);
        exports.put("memory", new MemoryExport(1 << 20, false));
        server =
                NbdServer.start(
                        new ServerOptions(
                                List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                                List.of()),
                        new Exports(exports));
        client = new RawClient(server);
        client.greet();
        client.extended();
    }

    @AfterEach
    void stop() throws IOException {
        client.close();
        server.close();
    }

    private static List<String> words(List<Received> chunks) {
        return chunks.stream().map(Received::toString).toList();
    }

    /** What a request is answered with that has no payload, or the one that is given. */
    private List<String> call(int command, int flags, long offset, long length, byte... payload)
            throws IOException {
        client.request(command, flags, offset, offset, length);
        client.out.write(payload);
        return words(client.chunks(offset));
    }

    private static byte[] query(long length, int... contextIds) {
        ByteBuffer payload = ByteBuffer.allocate(8 + 4 * contextIds.length).putLong(length);
        for (int id : contextIds) {
            payload.putInt(id);
        }
        return payload.array();
    }

    private List<String> query(int flags, long offset, byte[] payload) throws IOException {
        return call(
                RawClient.BLOCK_STATUS,
                flags | RawClient.PAYLOAD_LEN,
                offset,
                payload.length,
                payload);
    }

    @Test
    void extendedHeadersTakePrecedenceOverStructuredReplies() throws IOException {
        client.option(8, new byte[0]);
        assertEquals(EXT_HEADER_REQD, client.optionReply());
        client.option(11, new byte[0]);
        assertEquals(1, client.optionReply());
        try (RawClient other = new RawClient(server)) {
            other.greet();
            other.structured();
            other.extended();
            other.go("memory");
            assertEquals("[data at 5 of 9]", other.read(0, 5, 9).toString());
        }
        client.option(1, new byte[0]);
        assertTrue(client.isHungUp());
    }

    @Test
    void statusPayloadIsOfferedToThoseWhoSelectedContexts() throws IOException {
        int offered = 1 << 12;
        assertEquals(1, client.info(6, "huge"));
        assertEquals(0, client.flags & offered);
        client.contexts(true, "huge", CONTEXTS);
        client.go("huge");

        assertEquals(offered, client.flags & offered);
    }

    @Test
    void everyReplyIsExtended() throws IOException {
        client.go("memory");

        assertEquals(List.of("done"), call(RawClient.WRITE, 0, 7, 3, new byte[3]));
        assertEquals(List.of("done"), call(RawClient.FLUSH, 0, 0, 0));
        assertEquals(List.of("done"), call(RawClient.READ, 0, 9, 0));
        assertEquals(List.of("data at 7 of 3"), call(RawClient.READ, 0, 7, 3));
        assertEquals(List.of("error 22: there is no such command here"), call(0x7777, 0, 11, 0));
    }

    @Test
    void changesBeyond4GibAreOneRequest() throws IOException {
        client.go("huge");

        assertEquals(List.of("done"), call(RawClient.WRITE_ZEROES, 16, BLOCK, 1L << 40));
        assertEquals(List.of("done"), call(RawClient.TRIM, 1, 512, 1L << 33));
        assertEquals(List.of("done"), call(RawClient.CACHE, 0, 0, SIZE));
        assertEquals(BLOCK + (1L << 40), huge.endOf("zero", BLOCK));
        assertEquals(512 + (1L << 33), huge.endOf("trim", 512));
        assertEquals("flush", List.copyOf(huge.calls).getLast());
    }

    @ParameterizedTest
    @CsvSource({
        "0, 22", // READ
        "4, 22", // TRIM
        "5, 22", // CACHE
        "6, 28", // WRITE_ZEROES
    })
    void lengthsThatOverflowAreOutside(int command, int error) throws IOException {
        client.go("huge");
        for (long length : new long[] {-1, Long.MIN_VALUE, Long.MAX_VALUE, SIZE}) {
            assertTrue(
                    call(command, 0, 4096, length)
                            .getFirst()
                            .startsWith("error %d: the range".formatted(error)));
        }
        assertTrue(call(command, 0, -1, 1).getFirst().startsWith("error " + error));
        assertEquals(List.of(), List.copyOf(huge.calls));
    }

    @Test
    void longReadIsRefusedAndTheLargestIsOneHole() throws IOException {
        client.go("huge");

        assertEquals(
                List.of("hole at 0 of " + Limits.PAYLOAD), call(RawClient.READ, 0, 0, 32 << 20));
        assertEquals(
                List.of("error 75: a READ is of at most 33554432 bytes"),
                call(RawClient.READ, 0, 0, 1L << 32));
    }

    @Test
    void writeWithoutThePayloadFlagIsRefusedAndHasNone() throws IOException {
        client.go("huge");
        client.out.writeInt(0x21e41c71);
        client.out.writeShort(0);
        client.out.writeShort(RawClient.WRITE);
        client.out.writeLong(512);
        client.out.writeLong(512);
        client.out.writeLong(4096);

        assertEquals(
                List.of("error 22: a WRITE takes the flag that says that it has a payload"),
                words(client.chunks(512)));
        assertEquals(List.of("done"), call(RawClient.WRITE, 0, 512, 4, new byte[4]));
    }

    @ParameterizedTest
    @CsvSource({"0", "3", "4", "5", "6", "99"})
    void unexpectedPayloadIsReadAndRefused(int command) throws IOException {
        client.go("huge");

        assertTrue(
                call(command, RawClient.PAYLOAD_LEN, 0, 100, new byte[100])
                        .getFirst()
                        .startsWith("error 22: "));
        assertEquals(List.of(), List.copyOf(huge.calls));
        assertEquals(List.of("done"), call(RawClient.WRITE, 0, 512, 4, new byte[4]));
    }

    /** As the protocol asks, where compact headers have one of up to 64 MiB skipped. */
    @ParameterizedTest
    @CsvSource({"1, 33554433", "1, 4611686018427387904", "1, -1", "7, 33554433", "99, 33554433"})
    void payloadBeyondTheMaximumHangsUp(int command, long length) throws IOException {
        client.go("huge");
        client.request(command, RawClient.PAYLOAD_LEN, 1, 1, length);

        assertTrue(client.isHungUp());
    }

    @Test
    void theLargestPayloadIsTaken() throws IOException {
        client.go("huge");

        assertEquals(
                List.of("done"),
                call(RawClient.WRITE, 0, 512, Limits.PAYLOAD, new byte[Limits.PAYLOAD]));
    }

    @Test
    void statusIsExtendedHoweverShort() throws IOException {
        client.contexts(true, "huge", CONTEXTS);
        client.go("huge");
        long offset = (1L << 40) - 512;

        assertEquals(
                List.of(
                        "extended context 1: 512/2 65536/0",
                        "extended context 2: 512/0 65536/1",
                        "extended context 3: 66048/65536"),
                call(RawClient.BLOCK_STATUS, 0, offset, 512 + BLOCK));
    }

    @Test
    void statusBeyond4GibIsOneExtent() throws IOException {
        client.contexts(true, "huge", CONTEXTS);
        client.go("huge");
        long most = StatusReply.MAX_BLOCKS * BLOCK;

        assertEquals(
                "extended context 1: %d/2".formatted(most),
                call(RawClient.BLOCK_STATUS, REQ_ONE, 0, SIZE).getFirst());
    }

    @Test
    void statusPayloadChoosesContexts() throws IOException {
        client.contexts(true, "huge", CONTEXTS);
        client.go("huge");

        assertEquals(
                List.of("extended context 3: %d/65536".formatted(SIZE)),
                query(0, 0, query(SIZE, 3)));
        assertEquals(
                List.of("extended context 1: 4096/2", "extended context 2: 4096/0"),
                query(REQ_ONE, 8192, query(4096, 2, 1)));
    }

    @Test
    void statusPayloadThatMakesNoSenseIsReadAndRefused() throws IOException {
        client.contexts(true, "huge", "base:allocation", "x-pmemblk:state");
        client.go("huge");
        String unfit = "error 22: the payload is no length and selected context IDs";
        String unknown = "error 22: the payload does not name selected contexts, each once";
        String outside = "error 22: the range does not lie within the %d bytes".formatted(SIZE);

        assertEquals(List.of(unfit), query(0, 0, new byte[7]));
        assertEquals(List.of(unfit), query(0, 0, new byte[13]));
        assertEquals(List.of(unfit), query(0, 0, query(1, 1, 2, 3)));
        assertEquals(List.of(unfit), query(0, 0, new byte[1 << 20]));
        assertEquals(List.of(unknown), query(0, 0, query(1)));
        assertEquals(List.of(unknown), query(0, 0, query(1, 3)));
        assertEquals(List.of(unknown), query(0, 0, query(1, 1, 1)));
        assertEquals(List.of(outside), query(0, 1, query(SIZE, 1)));
        assertEquals(List.of(outside), query(0, 1, query(-1, 1)));
        assertEquals(List.of("extended context 1: 1/2"), query(0, 0, query(1, 1)));
    }
}
