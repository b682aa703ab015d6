package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/** What one client does leaves enough for the others. */
@Timeout(60)
class FairnessTest {
    private static final int SIZE = 64 << 20;
    private static final int ENOMEM = 12;
    private static final int FUA = 1;

    private final GatedExport gated = new GatedExport();
    private final GatedExport otherGated = new GatedExport();
    private final ZeroedExport zeroed = new ZeroedExport();
    private NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @AfterEach
    void stop() {
        gated.open(1000);
        otherGated.open(1000);
        zeroed.gate.countDown();
        server.close();
    }

    @BeforeEach
    void start() throws IOException {
        server = start(ClientLimits.DEFAULT);
    }

    private void restart(ClientLimits limits) throws IOException {
        server.close();
        server = start(limits);
    }

    private NbdServer start(ClientLimits limits) throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("memory", new MemoryExport(SIZE, false));
        exports.put("gated", gated);
        exports.put("other", otherGated);
        exports.put("greedy", new GreedyExport());
        exports.put("zeroed", zeroed);
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of());
        return NbdServer.start(
                options.withThreads(1, 1)
                        .withStopTimeout(Duration.ofSeconds(20))
                        .withLimits(limits),
                new Exports(exports));
    }

    private static ClientLimits limits(long bytes, long bytesPerConnection, Duration stall) {
        return ClientLimits.DEFAULT
                .withBytes(bytesPerConnection, bytes)
                .withTimeouts(Duration.ofSeconds(10), stall);
    }

    private RawClient transmitting(String export) throws IOException {
        RawClient client = new RawClient(server);
        client.greet();
        client.go(export);
        return client;
    }

    @Test
    void clientThatWaitsForASlowDiskLeavesTheOthersTheirBytes() throws Exception {
        restart(limits(2L * Limits.PAYLOAD, Limits.PAYLOAD, Duration.ofSeconds(60)));
        try (RawClient greedy = transmitting("gated");
                RawClient good = transmitting("memory")) {
            for (int cookie = 0; cookie < 16; cookie++) {
                greedy.request(RawClient.READ, 0, cookie, 0, Limits.PAYLOAD / 2);
            }
            greedy.out.flush();
            assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));

            byte[] largest = new byte[Limits.PAYLOAD];
            assertEquals(0, good.call(RawClient.WRITE, 0, 0, largest.length, largest));
            assertEquals(0, good.call(RawClient.READ, 0, 0, largest.length, largest));
        }
    }

    @Test
    void clientBeyondItsShareIsServedAsItReads() throws IOException {
        restart(limits(2L * Limits.PAYLOAD, Limits.PAYLOAD, Duration.ofSeconds(60)));
        try (RawClient client = transmitting("memory")) {
            int size = Limits.PAYLOAD * 3 / 4;
            for (int cookie = 0; cookie < 6; cookie++) {
                client.request(RawClient.READ, 0, cookie, 0, size);
            }
            for (int cookie = 0; cookie < 6; cookie++) {
                assertEquals(0, client.reply(cookie, new byte[size]));
            }
        }
    }

    @Test
    void clientThatStopsInTheMiddleOfAWriteIsCutOff() throws IOException {
        restart(limits(256 << 20, 64 << 20, Duration.ofMillis(150)));
        try (RawClient idle = transmitting("memory");
                RawClient stuck = transmitting("memory")) {
            stuck.request(RawClient.WRITE, 0, 1, 0, 1 << 20);
            stuck.out.write(new byte[1000]);

            assertTrue(stuck.isHungUp());
            assertEquals(0, idle.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    @Test
    void clientThatTricklesAWriteIsCutOffOnlyWhileOthersWait() throws Exception {
        restart(limits(Limits.PAYLOAD, Limits.PAYLOAD, Duration.ofMillis(400)));
        try (RawClient slow = transmitting("memory");
                RawClient other = transmitting("memory")) {
            slow.request(RawClient.WRITE, 0, 1, 0, Limits.PAYLOAD);
            Instant twice = Instant.now().plusMillis(1000);
            while (Instant.now().isBefore(twice)) {
                trickle(slow);
            }
            other.request(RawClient.READ, 0, 2, 0, 10);
            other.out.flush();

            assertThrows(
                    IOException.class,
                    () -> {
                        while (true) {
                            trickle(slow);
                        }
                    });
            assertEquals(0, other.reply(2, new byte[10]));
        }
    }

    private static void trickle(RawClient client) throws IOException {
        client.out.write(1);
        client.out.flush();
        LockSupport.parkNanos(20_000_000);
    }

    @Test
    void clientThatDoesNotReadItsRepliesIsCutOff() throws IOException {
        restart(limits(256 << 20, 64 << 20, Duration.ofMillis(150)));
        try (RawClient stuck = transmitting("memory");
                RawClient idle = transmitting("memory")) {
            stuck.request(RawClient.READ, 0, 1, 0, Limits.PAYLOAD);
            stuck.request(RawClient.READ, 0, 2, 0, Limits.PAYLOAD);
            stuck.out.flush();

            // The server goes while most of the replies are still to be sent.
            while (!isClosedByPeer(stuck)) {
                Thread.onSpinWait();
            }
            assertEquals(0, idle.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    private static boolean isClosedByPeer(RawClient client) {
        try {
            client.request(RawClient.FLUSH, 0, 3, 0, 0);
            client.out.flush();
            return false;
        } catch (IOException e) {
            return true;
        }
    }

    @Test
    void slowRequestDoesNotCutItsClientOff() throws Exception {
        restart(limits(256 << 20, 64 << 20, Duration.ofMillis(50)));
        try (RawClient client = transmitting("gated");
                RawClient clock = transmitting("memory")) {
            client.request(RawClient.READ, 0, 1, 0, 10);
            client.out.flush();
            assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
            // Somebody else stalls later and is cut off: the time is over for the first, too.
            clock.request(RawClient.WRITE, 0, 1, 0, 10);
            assertTrue(clock.isHungUp());
            gated.open(1);

            assertEquals(0, client.reply(1, new byte[10]));
        }
    }

    @Test
    void slowExportStopsNoOtherExport() throws Exception {
        try (RawClient client = transmitting("gated");
                RawClient other = transmitting("other")) {
            for (int cookie = 0; cookie < 20; cookie++) {
                client.request(RawClient.READ, 0, cookie, 0, 10);
            }
            client.out.flush();
            assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
            otherGated.open(1);

            assertEquals(0, other.call(RawClient.READ, 0, 0, 10, new byte[10]));
        }
    }

    @Test
    void longZeroLetsOthersHaveTheirTurn() throws Exception {
        int length = 100 << 20;
        try (RawClient client = transmitting("gated");
                RawClient other = transmitting("gated")) {
            client.request(RawClient.WRITE_ZEROES, 0, 7, 1000, length);
            client.out.flush();
            assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
            other.request(RawClient.READ, 0, 1, 0, 10);
            other.request(RawClient.DISC, 0, 0, 0, 0);
            other.out.flush();
            awaitThatTheLoopHasTaken();
            gated.open(100);

            assertEquals(0, client.reply(7, new byte[0]));
            assertEquals(0, other.reply(1, new byte[10]));
        }

        assertTrue(gated.done().size() > 10);
        assertEquals("read 0 10", gated.done().get(1));
        long end = 1000;
        for (String call : gated.done()) {
            String[] words = call.split(" ", -1);
            if (words[0].equals("zero")) {
                assertEquals(end, Long.parseLong(words[1]));
                end += Long.parseLong(words[2]);
                assertTrue(end % 520 == 0 || end == 1000 + length, call);
            }
        }
        assertEquals(1000 + length, end);
    }

    /** FUA comes with any command; one that changes nothing has nothing to make durable. */
    @Test
    void cacheWithFuaWaitsForNoFlush() throws Exception {
        try (RawClient client = transmitting("gated")) {
            assertEquals(0, client.call(RawClient.CACHE, FUA, 0, 512, new byte[0]));
        }
        assertEquals(List.of(), gated.done());
    }

    /** Zeroes without waiting, but for the first time, and counts. */
    private static final class ZeroedExport extends DescribedExport {
        private final CountDownLatch gate = new CountDownLatch(1);
        private final CountDownLatch begun = new CountDownLatch(1);
        private int zeroCount;
        private int countAtRead;

        ZeroedExport() {
            super(new ExportInfo(SIZE, 4096, 4096, false, "zeroed"));
        }

        @Override
        public boolean writeMayBlock(long length, boolean fua) {
            return false;
        }

        @Override
        public void zero(long offset, long length) throws IOException {
            zeroCount++;
            begun.countDown();
            try {
                gate.await();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
        }

        @Override
        public boolean readNow(long offset, ByteBuffer target) {
            countAtRead = zeroCount;
            target.position(target.limit());
            return true;
        }
    }

    @Test
    void clientOfManyBriefRequestsLetsOthersHaveTheirTurn() throws Exception {
        int many = 4000;
        try (RawClient greedy = transmitting("zeroed");
                RawClient good = transmitting("zeroed")) {
            for (int cookie = 0; cookie < many; cookie++) {
                greedy.request(RawClient.WRITE_ZEROES, 0, cookie, 0, 1 << 20);
            }
            greedy.out.flush();
            assertTrue(zeroed.begun.await(20, TimeUnit.SECONDS));
            good.request(RawClient.READ, 0, 1, 0, 512);
            good.out.flush();
            zeroed.gate.countDown();

            assertEquals(0, good.reply(1, new byte[512]));
            for (int cookie = 0; cookie < many; cookie++) {
                assertEquals(0, greedy.reply(cookie, new byte[0]));
            }
        }
        assertEquals(many, zeroed.zeroCount);
        assertTrue(zeroed.countAtRead < 100, () -> "after " + zeroed.countAtRead);
    }

    private void awaitThatTheLoopHasTaken() throws IOException {
        try (RawClient later = transmitting("memory")) {
            assertEquals(0, later.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    /** Takes more memory for a read than there is. */
    private static final class GreedyExport extends DescribedExport {
        GreedyExport() {
            super(new ExportInfo(1 << 20, 4096, 4096, false, "greedy"));
        }

        @Override
        public boolean readNow(long offset, ByteBuffer target) {
            if (offset == 0) {
                throw new OutOfMemoryError("as if");
            }
            return false;
        }

        @Override
        public void read(long offset, ByteBuffer target) {
            throw new OutOfMemoryError("as if");
        }

        @Override
        public boolean writeMayBlock(long length, boolean fua) {
            return false;
        }

        @Override
        public void flush() {}
    }

    @Test
    void requestForWhichThereIsNoMemoryFailsAlone() throws IOException {
        try (RawClient client = transmitting("greedy")) {
            assertEquals(ENOMEM, client.call(RawClient.READ, 0, 0, 10, new byte[0]));
            assertEquals(ENOMEM, client.call(RawClient.READ, 0, 512, 10, new byte[0]));
            assertEquals(0, client.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
        }
    }
}
