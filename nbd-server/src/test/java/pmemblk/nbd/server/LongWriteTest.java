package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.protocol.ReplyForm;

/** Writes whose blocks are written while the rest of them is still to come. */
@Timeout(60)
class LongWriteTest {
    private static final int BLOCK = 4096;
    private static final int SIZE = 1 << 20;
    private static final int LENGTH = 300_000;
    private static final int EIO = 5;

    private final byte[] payload = new byte[LENGTH];
    private final SteppedExport export = new SteppedExport();
    private NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        new SplittableRandom(1).nextBytes(payload);
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("stepped", export);
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of());
        server = NbdServer.start(options.withThreads(1, 1), new Exports(exports));
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private static RawClient transmitting(NbdServer server, ReplyForm form) throws IOException {
        RawClient client = new RawClient(server);
        client.greet();
        client.agree(form);
        client.go("stepped");
        return client;
    }

    /** The outcome of the request with this cookie, which is its offset, too. */
    private static String outcome(RawClient client, ReplyForm form, long cookie)
            throws IOException {
        return form == ReplyForm.EXTENDED
                ? client.chunks(cookie).toString()
                : "error " + client.reply(cookie, new byte[0]);
    }

    /** Sends a write at 0, and its rest once the blocks of its beginning are written. */
    private void sendInTwoParts(RawClient client) throws Exception {
        client.request(RawClient.WRITE, 0, 0, 0, LENGTH);
        client.out.write(payload, 0, 100_000);
        client.out.flush();
        export.awaitBytes(24 * BLOCK);
        client.out.write(payload, 100_000, LENGTH - 100_000);
    }

    private static byte[] disk(int offset, byte[] written) {
        byte[] disk = new byte[SIZE];
        System.arraycopy(written, 0, disk, offset, written.length);
        return disk;
    }

    @ParameterizedTest
    @EnumSource(names = {"SIMPLE", "EXTENDED"})
    void blocksAreWrittenAsTheyCome(ReplyForm form) throws Exception {
        try (RawClient client = transmitting(server, form)) {
            client.request(RawClient.WRITE, 0, 1000, 1000, LENGTH);
            client.out.write(payload, 0, 100_000);
            client.out.flush();
            // 101,000 lies in block 24.
            export.awaitBytes(24 * BLOCK - 1000);
            byte[] beginning = Arrays.copyOf(payload, 24 * BLOCK - 1000);
            assertArrayEquals(disk(1000, beginning), export.bytes());

            client.out.write(payload, 100_000, LENGTH - 100_000);
            assertEquals(
                    form == ReplyForm.EXTENDED ? "[done]" : "error 0", outcome(client, form, 1000));
            assertArrayEquals(disk(1000, payload), export.bytes());
        }
    }

    @Test
    void halfOfABlockIsNotWritten() throws Exception {
        try (RawClient client = transmitting(server, ReplyForm.SIMPLE)) {
            client.request(RawClient.WRITE, 0, 0, 0, LENGTH);
            client.out.write(payload, 0, 100_000);
            client.out.flush();
            export.awaitBytes(24 * BLOCK);
        }
        server.close();
        assertArrayEquals(disk(0, Arrays.copyOf(payload, 24 * BLOCK)), export.bytes());
    }

    @Test
    void writeThatIsToBeDurableWaitsForItsEnd() throws Exception {
        try (RawClient client = transmitting(server, ReplyForm.SIMPLE)) {
            client.request(RawClient.WRITE, 1, 0, 0, LENGTH);
            client.out.write(payload);
            assertEquals(0, client.reply(0, new byte[0]));
        }
        assertEquals(List.of("write 0 " + LENGTH, "flush"), List.copyOf(export.calls));
    }

    @ParameterizedTest
    @EnumSource(names = {"SIMPLE", "EXTENDED"})
    void restThatHasToWaitIsWrittenByAnIoThread(ReplyForm form) throws Exception {
        export.nowUpTo = 24 * BLOCK;
        try (RawClient client = transmitting(server, form)) {
            sendInTwoParts(client);
            assertEquals(
                    form == ReplyForm.EXTENDED ? "[done]" : "error 0", outcome(client, form, 0));
        }
        assertArrayEquals(disk(0, payload), export.bytes());
        String rest = "write %d %d".formatted(24 * BLOCK, LENGTH - 24 * BLOCK);
        assertTrue(export.calls.contains(rest), export.calls::toString);
    }

    @ParameterizedTest
    @EnumSource(names = {"SIMPLE", "EXTENDED"})
    void failureInTheMiddleIsToldAtTheEnd(ReplyForm form) throws Exception {
        export.failingFrom = 24 * BLOCK;
        try (RawClient client = transmitting(server, form)) {
            sendInTwoParts(client);
            String outcome = outcome(client, form, 0);
            assertTrue(
                    outcome.contains("error " + EIO), () -> "the write was answered: " + outcome);

            client.request(RawClient.WRITE, 0, 512, 512, 10);
            client.out.write(payload, 0, 10);
            assertTrue(outcome(client, form, 512).matches("\\[done\\]|error 0"));
        }
    }

    /** A disk in memory that tells what it was asked to write. */
    private static final class SteppedExport extends DescribedExport {
        private final ByteBuffer disk = ByteBuffer.allocate(SIZE);

        /** A permit for each byte written. */
        private final Semaphore written = new Semaphore(0);

        final Queue<String> calls = new ConcurrentLinkedQueue<>();

        /** What lies beyond is not written without waiting. */
        volatile long nowUpTo = SIZE;

        volatile long failingFrom = SIZE;

        SteppedExport() {
            super(new ExportInfo(SIZE, BLOCK, BLOCK, false, "stepped"));
        }

        void awaitBytes(int count) throws InterruptedException {
            assertTrue(written.tryAcquire(count, 20, TimeUnit.SECONDS), calls::toString);
        }

        byte[] bytes() {
            return disk.array().clone();
        }

        @Override
        public boolean writeMayBlock(long length, boolean fua) {
            return fua;
        }

        @Override
        public boolean writeNow(long offset, ByteBuffer source) throws IOException {
            if (offset + source.remaining() > nowUpTo) {
                return false;
            }
            write(offset, source);
            return true;
        }

        @Override
        public void write(long offset, ByteBuffer source) throws IOException {
            int length = source.remaining();
            if (offset + length > failingFrom) {
                throw new IOException("no such place");
            }
            calls.add("write " + offset + " " + length);
            disk.put((int) offset, source, source.position(), length);
            written.release(length);
        }

        @Override
        public void flush() {
            calls.add("flush");
        }
    }
}
