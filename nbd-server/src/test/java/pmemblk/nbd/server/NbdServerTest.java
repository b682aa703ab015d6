package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/** The server over real sockets, under clients that do well and clients that do not. */
@Timeout(60)
class NbdServerTest {
    private static final int SIZE = 64 << 20;
    private static final int EINVAL = 22;

    @TempDir private Path folder;

    private final LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
    NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        exports.put("disk", new MemoryExport(SIZE, false));
        exports.put("locked", new MemoryExport(1 << 20, true));
        exports.put("broken", new BrokenExport());
        restart(ClientLimits.DEFAULT);
    }

    @AfterEach
    void stop() {
        server.close();
    }

    final void restart(ClientLimits limits) throws IOException {
        if (server != null) {
            server.close();
        }
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of(folder.resolve("socket")));
        server =
                NbdServer.start(
                        options.withLimits(limits).withTls(InTls.offered()), new Exports(exports));
    }

    /** What everybody else must be able to do, whatever a client under test has done. */
    private void requireServing() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            byte[] bytes = new byte[10_000];
            new SplittableRandom(1).nextBytes(bytes);
            assertEquals(0, client.call(RawClient.WRITE, 0, 12_345, bytes.length, bytes));
            byte[] read = new byte[bytes.length];
            assertEquals(0, client.call(RawClient.READ, 0, 12_345, read.length, read));
            assertArrayEquals(bytes, read);
        }
    }

    /** Fails all that is asked of it, each in another way. */
    private static final class BrokenExport implements Export {
        @Override
        public ExportInfo info() {
            return new ExportInfo(1 << 20, 4096, 4096, false, "broken");
        }

        @Override
        public @Nullable String failureReason() {
            return null;
        }

        @Override
        public boolean writeMayBlock(long length, boolean fua) {
            return fua;
        }

        @Override
        public void read(long offset, ByteBuffer target) throws IOException {
            throw new IOException("medium error");
        }

        @Override
        public boolean readNow(long offset, ByteBuffer target) throws IOException {
            if (target.remaining() == 1) {
                throw new IOException("medium error");
            }
            return false;
        }

        @Override
        public void write(long offset, ByteBuffer source) {
            throw new IllegalStateException("a bug");
        }

        @Override
        public void zero(long offset, long length) {
            throw new AssertionError("another bug");
        }

        @Override
        public void trim(long offset, long length) throws IOException {
            throw new IOException("medium error");
        }

        @Override
        public void flush() throws IOException {
            throw new IOException("medium error");
        }

        @Override
        public void close() {}
    }

    /** Answers reads once it is told to, and all else at once. */
    private static class SlowExport implements Export {
        final CountDownLatch reading = new CountDownLatch(1);
        final CountDownLatch go = new CountDownLatch(1);
        private final MemoryExport memory = new MemoryExport(1 << 20, false);

        @Override
        public ExportInfo info() {
            return memory.info();
        }

        @Override
        public @Nullable String failureReason() {
            return null;
        }

        @Override
        public boolean writeMayBlock(long length, boolean fua) {
            return false;
        }

        @Override
        public void read(long offset, ByteBuffer target) throws IOException {
            reading.countDown();
            try {
                go.await();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            memory.read(offset, target);
        }

        @Override
        public boolean readNow(long offset, ByteBuffer target) {
            return false;
        }

        @Override
        public void write(long offset, ByteBuffer source) {
            memory.write(offset, source);
        }

        @Override
        public void zero(long offset, long length) {
            memory.zero(offset, length);
        }

        @Override
        public void trim(long offset, long length) {}

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

    // Handshake.

    @Test
    void optionsAreAnsweredInAnyOrderUntilGo() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.option(99, new byte[] {1, 2, 3});
            assertEquals(0x8000_0001, client.optionReply());
            assertEquals(1, client.info(6, "locked"));
            assertEquals(1 << 20, client.size);
            assertEquals(0x8000_0006, client.info(7, "nobody"));
            client.option(7, new byte[3]);
            assertEquals(0x8000_0003, client.optionReply());
            client.option(3, new byte[0]);
            assertEquals(2, client.optionReply());
            assertEquals(2, client.optionReply());
            assertEquals(2, client.optionReply());
            assertEquals(1, client.optionReply());
            client.go("");
            assertEquals(SIZE, client.size);
            assertEquals(0b1101_0110_1101, client.flags);
            assertEquals(0, client.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
        }
    }

    @Test
    void exportNameBeginsTransmissionWithoutAReply() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.option(1, "locked".getBytes(StandardCharsets.UTF_8));
            assertEquals(1 << 20, client.in.readLong());
            assertEquals(0b101_0000_1111, client.in.readUnsignedShort());
            assertEquals(0, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
            assertEquals(1, client.call(RawClient.WRITE, 0, 0, 1, new byte[1]));
        }
    }

    @Test
    void exportNameOfNobodyHangsUp() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.option(1, "nobody".getBytes(StandardCharsets.UTF_8));
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void abortIsAcknowledged() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.option(2, new byte[0]);
            assertEquals(1, client.optionReply());
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void cve2017_15119AnEndlessOptionHangsUpAtOnce() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.out.writeLong(0x49484156454f5054L);
            client.out.writeInt(7);
            client.out.writeInt(-1);
            assertTrue(client.isHungUp());
        }
        requireServing();
    }

    @Test
    void moreOptionsThanAnyClientNeedsHangUp() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.greet();
            int allowed = 32 + exports.size();
            for (int i = 0; i < allowed; i++) {
                client.option(99, new byte[0]);
                assertEquals(0x8000_0001, client.optionReply());
            }
            client.option(99, new byte[0]);
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void optionsAreLimitedAsTheOperatorSays() throws IOException {
        restart(ClientLimits.DEFAULT.withOptions(1, 8192));
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.option(99, new byte[8192]);
            assertEquals(0x8000_0001, client.optionReply());
            client.option(99, new byte[8193]);
            assertTrue(client.isHungUp());
        }
        try (RawClient client = new RawClient(server)) {
            client.greet();
            for (int i = 0; i < 1 + exports.size(); i++) {
                client.option(99, new byte[0]);
                assertEquals(0x8000_0001, client.optionReply());
            }
            client.option(99, new byte[0]);
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void cve2013_7441AHandshakeCutAnywhereHarmsNobody() throws IOException {
        ByteArrayOutputStream recorded = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(recorded);
        out.writeInt(3);
        out.writeLong(0x49484156454f5054L);
        out.writeInt(3);
        out.writeInt(0);
        out.writeLong(0x49484156454f5054L);
        out.writeInt(7);
        out.writeInt(10);
        out.writeInt(4);
        out.write("disk".getBytes(StandardCharsets.UTF_8));
        out.writeShort(0);
        out.writeInt(0x25609513);
        out.writeInt(RawClient.WRITE);
        out.writeLong(1);
        out.writeLong(0);
        out.writeInt(100);
        out.write(new byte[50]);
        byte[] bytes = recorded.toByteArray();
        try (RawClient good = RawClient.transmitting(server)) {
            for (int cut = 0; cut <= bytes.length; cut++) {
                RawClient client = new RawClient(server);
                client.out.write(bytes, 0, cut);
                client.out.flush();
                if (cut % 2 == 0) {
                    client.close();
                } else {
                    client.reset();
                }
                assertEquals(0, good.call(RawClient.READ, 0, cut, 100, new byte[100]));
            }
        }
        requireServing();
    }

    @Test
    void requestsMayFollowGoInTheSamePacket() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.in.skipNBytes(18);
            client.out.writeInt(3);
            client.out.writeLong(0x49484156454f5054L);
            client.out.writeInt(7);
            client.out.writeInt(6);
            client.out.write(new byte[6]);
            client.request(RawClient.READ, 0, 5, 0, 8);
            client.out.flush();
            while (client.optionReply() == 3) {
                // What the export is does not matter here.
            }
            assertEquals(0, client.reply(5, new byte[8]));
        }
    }

    @Test
    void aHandshakeThatTakesTooLongIsEnded() throws IOException {
        restart(ClientLimits.DEFAULT.withTimeouts(Duration.ofMillis(200), Duration.ofSeconds(60)));
        try (RawClient client = new RawClient(server)) {
            client.greet();
            assertTrue(client.isHungUp());
        }
        try (RawClient client = RawClient.transmitting(server)) {
            assertEquals(0, client.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
        }
    }

    @Test
    void unfinishedHandshakesAreLimitedAndConnectionsToo() throws IOException {
        restart(ClientLimits.DEFAULT.withConnections(3, 5));
        List<RawClient> idle = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            idle.add(new RawClient(server));
            idle.getLast().greet();
        }
        try (RawClient oldest = idle.removeFirst()) {
            assertTrue(oldest.isHungUp());
        }
        for (RawClient client : idle) {
            client.go("");
        }
        idle.add(RawClient.transmitting(server));
        idle.add(RawClient.transmitting(server));
        try (RawClient tooMany = new RawClient(server)) {
            assertTrue(tooMany.isHungUp());
        }
        for (RawClient client : idle) {
            client.request(RawClient.DISC, 0, 0, 0, 0);
            assertTrue(client.isHungUp());
            client.close();
        }
        requireServing();
    }

    // Transmission.

    @Test
    void writesAreReadBackAndZeroedOverEveryKindOfRequest() throws IOException {
        try (RawClient client = RawClient.transmitting(server);
                RawClient other = RawClient.transmitting(server)) {
            byte[] bytes = new byte[300_000];
            new SplittableRandom(2).nextBytes(bytes);
            assertEquals(0, client.call(RawClient.WRITE, 1, 777, bytes.length, bytes));
            assertEquals(0, client.call(RawClient.WRITE_ZEROES, 2, 1000, 5000, new byte[0]));
            assertEquals(0, client.call(RawClient.TRIM, 0, SIZE - 10, 10, new byte[0]));
            assertEquals(0, client.call(RawClient.CACHE, 0, 0, SIZE, new byte[0]));
            assertEquals(0, client.call(RawClient.FLUSH, 1, 0, 0, new byte[0]));
            Arrays.fill(bytes, 1000 - 777, 6000 - 777, (byte) 0);
            byte[] read = new byte[bytes.length];
            assertEquals(0, other.call(RawClient.READ, 0, 777, read.length, read));
            assertArrayEquals(bytes, read);
        }
    }

    @Test
    void unknownCommandsAndFlagsAreRefusedAndTheConnectionLives() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            assertEquals(EINVAL, client.call(77, 0, 0, 0, new byte[0]));
            assertEquals(EINVAL, client.call(RawClient.READ, 0x8000, 0, 1, new byte[1]));
            assertEquals(EINVAL, client.call(RawClient.WRITE, 0x40, 0, 1000, new byte[1000]));
            assertEquals(28, client.call(RawClient.WRITE, 0, SIZE, 1, new byte[1]));
            assertEquals(0, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    @Test
    void theLargestPayloadIsTakenAndALargerOneSkipped() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            byte[] largest = new byte[Limits.PAYLOAD];
            new SplittableRandom(3).nextBytes(largest);
            assertEquals(0, client.call(RawClient.WRITE, 0, 0, largest.length, largest));
            byte[] read = new byte[largest.length];
            assertEquals(0, client.call(RawClient.READ, 0, 0, read.length, read));
            assertArrayEquals(largest, read);

            byte[] larger = new byte[Limits.PAYLOAD + 1];
            assertEquals(EINVAL, client.call(RawClient.WRITE, 0, 0, larger.length, larger));
            assertEquals(EINVAL, client.call(RawClient.READ, 0, 0, larger.length, new byte[0]));
            assertEquals(0, client.call(RawClient.READ, 0, 0, 10, new byte[10]));
        }
    }

    @Test
    void aPayloadBeyondAllMeasureHangsUp() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            client.request(RawClient.WRITE, 0, 1, 0, Limits.SKIPPED_PAYLOAD + 1);
            assertTrue(client.isHungUp());
        }
        requireServing();
    }

    @Test
    void aPayloadLongerThanAnnouncedIsNoRequest() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            client.request(RawClient.WRITE, 0, 1, 0, 10);
            client.out.write(new byte[100]);
            assertEquals(0, client.reply(1, new byte[0]));
            assertTrue(client.isHungUp());
        }
        requireServing();
    }

    @Test
    void aFailureConcernsTheOneRequest() throws IOException {
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.go("broken");
            assertEquals(5, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
            assertEquals(5, client.call(RawClient.READ, 0, 0, 2, new byte[2]));
            assertEquals(5, client.call(RawClient.WRITE, 0, 0, 1, new byte[1]));
            assertEquals(5, client.call(RawClient.WRITE_ZEROES, 1, 0, 4096, new byte[0]));
            assertEquals(5, client.call(RawClient.TRIM, 0, 0, 4096, new byte[0]));
            assertEquals(5, client.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
        }
        requireServing();
    }

    @Test
    void discLetsPipelinedRequestsFinish() throws IOException {
        SlowExport slow = new SlowExport();
        exports.putFirst("slow", slow);
        restart(ClientLimits.DEFAULT);
        try (RawClient client = RawClient.transmitting(server)) {
            client.request(RawClient.READ, 0, 1, 0, 16);
            client.request(RawClient.DISC, 0, 2, 0, 0);
            client.out.flush();
            slow.go.countDown();
            assertEquals(0, client.reply(1, new byte[16]));
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void aSlowRequestStopsNeitherItsConnectionNorOthers() throws Exception {
        SlowExport slow = new SlowExport();
        exports.putFirst("slow", slow);
        restart(ClientLimits.DEFAULT);
        try (RawClient client = RawClient.transmitting(server)) {
            client.request(RawClient.READ, 0, 1, 0, 16);
            client.out.flush();
            slow.reading.await();

            assertEquals(0, client.call(RawClient.WRITE, 0, 0, 4, new byte[4]));
            try (RawClient other = new RawClient(server)) {
                other.greet();
                other.go("disk");
                assertEquals(0, other.call(RawClient.READ, 0, 0, 4, new byte[4]));
            }
            slow.go.countDown();
            assertEquals(0, client.reply(1, new byte[16]));
        }
    }

    @Test
    void cve2017_10664AResetInMidReplyHarmsNobody() throws IOException {
        for (int i = 0; i < 50; i++) {
            RawClient client = RawClient.transmitting(server);
            client.request(RawClient.READ, 0, 1, 0, Limits.PAYLOAD);
            client.request(RawClient.READ, 0, 2, 0, Limits.PAYLOAD);
            client.out.flush();
            client.in.readInt();
            client.reset();
        }
        requireServing();
    }

    @Test
    void clientsShareTheBudgetAndAllGetOn() throws Exception {
        restart(ClientLimits.DEFAULT.withBytes(Limits.PAYLOAD, Limits.PAYLOAD));
        List<Callable<List<Long>>> readers = new ArrayList<>();
        List<RawClient> clients = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            RawClient client = RawClient.transmitting(server);
            clients.add(client);
            for (int n = 0; n < 4; n++) {
                client.request(RawClient.READ, 0, n, 0, Limits.PAYLOAD / 2);
            }
            client.out.flush();
            readers.add(() -> readReplies(client, 4, Limits.PAYLOAD / 2));
        }
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            for (Future<List<Long>> cookies : threads.invokeAll(readers)) {
                assertEquals(List.of(0L, 1L, 2L, 3L), cookies.get());
            }
        }
        for (RawClient client : clients) {
            client.close();
        }
        requireServing();
    }

    /** The cookies of the next replies, sorted; each brings so much data, and no error. */
    private static List<Long> readReplies(RawClient client, int count, int dataLength)
            throws IOException {
        List<Long> cookies = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            client.in.skipNBytes(4);
            assertEquals(0, client.in.readInt());
            cookies.add(client.in.readLong());
            client.in.skipNBytes(dataLength);
        }
        return cookies.stream().sorted().toList();
    }

    @Test
    void manyRequestsInFlightAreAllAnswered() throws IOException {
        restart(ClientLimits.DEFAULT.withRequests(4));
        try (RawClient client = RawClient.transmitting(server)) {
            List<Long> expected = new ArrayList<>();
            for (long cookie = 0; cookie < 1000; cookie++) {
                // FUA has a memory export ask for an I/O thread.
                client.request(RawClient.WRITE, (int) (cookie % 2), cookie, cookie, 1);
                client.out.write(1);
                expected.add(cookie);
            }
            client.out.flush();
            assertEquals(expected, readReplies(client, 1000, 0));
        }
    }

    @Test
    void aClientWhoseRequestsAllWaitLeavesThreadsToOthers() throws Exception {
        SlowExport slow =
                new SlowExport() {
                    @Override
                    public boolean writeMayBlock(long length, boolean fua) {
                        return true;
                    }
                };
        exports.putFirst("slow", slow);
        int waiting = 100;
        restart(ClientLimits.DEFAULT.withRequests(waiting + 1));
        try (RawClient stuck = RawClient.transmitting(server);
                RawClient other = RawClient.transmitting(server)) {
            for (int i = 0; i < waiting; i++) {
                stuck.request(RawClient.READ, 0, i, 0, 16);
            }
            // Answered at once, and so once all the reads before it wait.
            stuck.request(RawClient.CACHE, 0, waiting, 0, 16);
            stuck.out.flush();
            assertEquals(0, stuck.reply(waiting, new byte[0]));

            assertEquals(0, other.call(RawClient.WRITE, 0, 0, 16, new byte[16]));
            slow.go.countDown();
            for (int i = 0; i < waiting; i++) {
                stuck.in.skipNBytes(16 + 16);
            }
        }
    }

    @Test
    void writesThatComeTogetherShareAFlush() throws Exception {
        GatedExport gated = new GatedExport();
        exports.putFirst("gated", gated);
        int writes = 10;
        restart(ClientLimits.DEFAULT);
        try (RawClient client = RawClient.transmitting(server)) {
            for (long cookie = 0; cookie < writes; cookie++) {
                // With FUA.
                client.request(RawClient.WRITE, 1, cookie, 16 * cookie, 16);
                client.out.write(new byte[16]);
            }
            // Answered at once, and so once all the writes before it have come.
            client.request(RawClient.CACHE, 0, writes, 0, 16);
            client.out.flush();
            assertEquals(0, client.reply(writes, new byte[0]));
            // One more flush follows when the last client leaves.
            gated.open(writes + 1 + 1);
            for (long cookie = 0; cookie < writes; cookie++) {
                assertEquals(0, client.reply(cookie, new byte[0]));
            }
        }

        List<String> expected = new ArrayList<>();
        for (int i = 0; i < writes; i++) {
            expected.add("write " + 16 * i + " 16");
        }
        expected.add("flush");
        assertEquals(expected, gated.done().subList(0, writes + 1));
    }

    @Test
    void whatTheLastClientLeavesBehindIsFlushed() throws Exception {
        CountDownLatch flushed = new CountDownLatch(1);
        SlowExport export =
                new SlowExport() {
                    @Override
                    public void flush() {
                        flushed.countDown();
                    }
                };
        exports.putFirst("slow", export);
        restart(ClientLimits.DEFAULT);
        try (RawClient first = RawClient.transmitting(server)) {
            RawClient.transmitting(server).close();
            assertEquals(0, first.call(RawClient.WRITE, 0, 0, 16, new byte[16]));
            assertEquals(1, flushed.getCount());
        }

        assertTrue(flushed.await(30, TimeUnit.SECONDS));
    }

    /** Closing a pool makes all durable, too. */
    @Test
    void theFlushAfterTheLastClientMayFindThePoolClosed() throws Exception {
        CompletableFuture<Thread> flushing = new CompletableFuture<>();
        AtomicReference<Throwable> uncaught = new AtomicReference<>();
        exports.putFirst(
                "slow",
                new SlowExport() {
                    @Override
                    public void flush() {
                        Thread thread = Thread.currentThread();
                        thread.setUncaughtExceptionHandler((same, e) -> uncaught.set(e));
                        flushing.complete(thread);
                        throw new IllegalStateException("the pool is closed");
                    }
                });
        restart(ClientLimits.DEFAULT);

        RawClient.transmitting(server).close();
        Thread thread = flushing.get(30, TimeUnit.SECONDS);
        server.close();
        thread.join();

        assertNull(uncaught.get());
    }

    // Starting and stopping.

    @Test
    void stoppingAnswersWhatIsInFlight() throws Exception {
        SlowExport slow = new SlowExport();
        exports.putFirst("slow", slow);
        restart(ClientLimits.DEFAULT);
        try (RawClient client = RawClient.transmitting(server);
                RawClient undecided = new RawClient(server)) {
            undecided.greet();
            client.request(RawClient.READ, 0, 1, 0, 16);
            client.out.flush();
            slow.reading.await();
            Thread stopping = Thread.ofPlatform().start(server::close);
            slow.go.countDown();

            assertEquals(0, client.reply(1, new byte[16]));
            assertTrue(client.isHungUp());
            assertTrue(undecided.isHungUp());
            stopping.join();
        }
        assertThrows(IOException.class, () -> new RawClient(server));
        assertFalse(Files.exists(folder.resolve("socket")));
    }

    @Test
    void anAddressInUseIsSaidInOneSentence() {
        InetSocketAddress taken = (InetSocketAddress) server.addresses().getFirst();
        ServerOptions options = new ServerOptions(List.of(taken), List.of());

        IOException e =
                assertThrows(
                        IOException.class, () -> NbdServer.start(options, new Exports(exports)));

        assertTrue(
                String.valueOf(e.getMessage())
                        .matches(
                                "cannot listen on .*:\\d+: .*[Aa]ddress already in use.*; use"
                                        + " another port.*"),
                e.getMessage());
    }

    @Test
    void aSocketFileIsReplacedOnlyIfNobodyListens() throws IOException {
        ServerOptions same = new ServerOptions(List.of(), List.of(folder.resolve("socket")));
        IOException e =
                assertThrows(IOException.class, () -> NbdServer.start(same, new Exports(exports)));
        assertTrue(String.valueOf(e.getMessage()).contains("another server does"));

        Path stale = folder.resolve("stale");
        try (var left = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            left.bind(UnixDomainSocketAddress.of(stale));
        }
        NbdServer.start(new ServerOptions(List.of(), List.of(stale)), new Exports(exports)).close();

        Path file = Files.writeString(folder.resolve("file"), "precious");
        ServerOptions onFile = new ServerOptions(List.of(), List.of(file));
        assertThrows(IOException.class, () -> NbdServer.start(onFile, new Exports(exports)));
        assertEquals("precious", Files.readString(file));
    }

    /** The system then asks after a client whose machine is gone, and closes the connection. */
    @Test
    void aClientThatSaysNothingIsAskedForASignOfLife() throws IOException {
        int port = ((InetSocketAddress) server.addresses().getFirst()).getPort();
        // Local address, remote one, established, queues, timer, hundredths of a second left.
        Pattern keepAlive =
                Pattern.compile(
                        " [0-9A-F]+:%04X [0-9A-F:]+ 01 [0-9A-F:]+ 02:([0-9A-F]{8}) "
                                .formatted(port));
        try (RawClient client = RawClient.transmitting(server)) {
            assertEquals(0, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
            Matcher found = keepAlive.matcher("");
            // Before that the system waits for the reply to be acknowledged.
            while (!found.reset(sockets()).find()) {
                Thread.onSpinWait();
            }
            assertTrue(Integer.parseInt(found.group(1), 16) <= 6000, found::group);
        }
    }

    private static String sockets() throws IOException {
        return Files.readString(Path.of("/proc/net/tcp"))
                + Files.readString(Path.of("/proc/net/tcp6"));
    }

    @Test
    void aClientThatHangsUpInTheMiddleOfAReplyIsNoticed() throws IOException {
        RawClient client = RawClient.transmitting(server);
        client.request(RawClient.WRITE, 0, 1, 0, 1 << 20);
        client.out.write(new byte[1000]);
        client.out.flush();
        client.close();

        assertThrows(IOException.class, () -> client.in.readInt());
        requireServing();
    }

    @Test
    void anotherMagicHangsUp() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            client.out.write(new byte[28]);
            assertTrue(client.isHungUp());
            assertThrows(EOFException.class, () -> client.in.readInt());
        }
    }
}
