package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The server's system calls, counted by strace: what a FLUSH costs, what requests share, and
 * failures.
 */
class StraceIT {
    private static final int BLOCK_SIZE = 4096;
    private static final int LANES = 256;
    private static final int FLUSHES = 100;
    private static final int DEPTH = 16;
    private static final int BURSTS = 500;
    private static final int ENOSPC = 28;
    private static final Duration LIMIT = Duration.ofSeconds(30);

    /** A call that succeeded, perhaps reported in two lines because another came between. */
    private static final Pattern DONE =
            Pattern.compile("\\d+ +(?:<\\.\\.\\. )?(\\w+)(?:\\(| resumed>).* = 0");

    @TempDir(factory = Place.Disk.class)
    private Path directory = Path.of("");

    @TempDir(factory = Place.Tmpfs.class)
    private Path memory = Path.of("");

    private Path trace = Path.of("");
    private Path pool = Path.of("");

    @BeforeEach
    void createPool() throws Exception {
        pool = Pools.create(directory, "disk.pool", BLOCK_SIZE);
        trace = directory.resolve("trace");
    }

    /** A server of which all calls are traced whose names have "sync" in them. */
    private ServerProcess serve() throws IOException, InterruptedException {
        return serve("/sync", "--listen 127.0.0.1:0", pool);
    }

    private ServerProcess serve(String calls, String words, Path served)
            throws IOException, InterruptedException {
        // Traced by a grandchild (-D), the process is the server as ever; other calls are not
        // stopped at (--seccomp-bpf), so it is as fast.
        String strace =
                "strace -D -f --seccomp-bpf --signal=none -e trace=%s -o %s"
                        .formatted(calls, trace);
        return ServerProcess.startUnder(strace, words, served);
    }

    /** Calls that were done from a line of the trace on, by name. */
    private Map<String, Long> callsSince(int line) throws IOException {
        List<String> lines = Files.readAllLines(trace);
        return lines.subList(line, lines.size()).stream()
                .map(DONE::matcher)
                .filter(Matcher::matches)
                .collect(Collectors.groupingBy(call -> call.group(1), Collectors.counting()));
    }

    private int linesUntilNow() throws IOException {
        return Files.readAllLines(trace).size();
    }

    private static void writeBlocks(NbdConnection connection, int first, int count)
            throws IOException {
        for (int block = first; block < first + count; block++) {
            byte[] content = new byte[BLOCK_SIZE];
            content[0] = (byte) block;
            connection.send(NbdConnection.WRITE, 0, (long) block * BLOCK_SIZE, BLOCK_SIZE, content);
        }
        for (int i = 0; i < count; i++) {
            assertEquals(0, connection.receive().error());
        }
    }

    /** As on a file system that has to find a new place for what is overwritten, and has none. */
    @ParameterizedTest
    @ValueSource(ints = {NbdConnection.WRITE, NbdConnection.TRIM, NbdConnection.WRITE_ZEROES})
    void aChangeForWhichThereIsNoSpaceSaysSoAndSucceedsLater(int command) throws Exception {
        String words = "--write-cache 0 --listen 127.0.0.1:0";
        byte[] payload = new byte[command == NbdConnection.WRITE ? BLOCK_SIZE : 0];
        try (ServerProcess server = ServerProcess.start(1, words, pool);
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            writeBlocks(connection, 0, 1);
            flush(connection);
            Process full = letWritesFindNoSpace(server);

            connection.send(command, 0, 0, BLOCK_SIZE, payload);
            assertEquals(ENOSPC, connection.receive().error());

            full.destroy();
            full.waitFor();
            connection.send(command, 0, 0, BLOCK_SIZE, payload);
            assertEquals(0, connection.receive().error());
            flush(connection);
            assertArrayEquals(new byte[BLOCK_SIZE], connection.read(0, BLOCK_SIZE));
        }
    }

    /** From now on, and until this process is ended. */
    private Process letWritesFindNoSpace(ServerProcess server) throws Exception {
        Path said = directory.resolve("said");
        Process strace =
                new ProcessBuilder(
                                Command.words(
                                        "strace -f -e trace=pwrite64 -e"
                                                + " inject=pwrite64:error=ENOSPC -o",
                                        trace,
                                        "-p",
                                        server.pid()))
                        .redirectError(said.toFile())
                        .start();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        // All threads are stopped by then until it sees their calls.
        while (!Files.readString(said).contains(" attached")) {
            assertTrue(strace.isAlive() && System.nanoTime() < deadline, "strace does not attach");
            Thread.onSpinWait();
        }
        return strace;
    }

    private static void flush(NbdConnection connection) throws IOException {
        connection.send(NbdConnection.FLUSH, 0, 0, 0, new byte[0]);
        assertEquals(0, connection.receive().error());
    }

    @Test
    void flushAfterAsManyWritesAsThereAreLanesTakesTwoSyncs() throws Exception {
        try (ServerProcess server = serve();
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            // The commit timer leaves out the second that follows.
            writeBlocks(connection, 0, 1);
            flush(connection);
            int begin = linesUntilNow();

            for (int i = 0; i < FLUSHES; i++) {
                writeBlocks(connection, i % 8 * LANES, LANES);
                flush(connection);
            }

            Map<String, Long> calls = callsSince(begin);
            // Has the device begin, and waits for nothing.
            calls.remove("sync_file_range");
            assertEquals(Map.of("fdatasync", 2L * FLUSHES), calls);
        }
    }

    @Test
    void withEveryWriteEachWriteTakesTwoSyncsBeforeItsReply() throws Exception {
        try (ServerProcess server = serveEveryWrite();
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            writeBlocks(connection, 0, 1);
            int begin = linesUntilNow();

            for (int i = 0; i < FLUSHES; i++) {
                writeBlocks(connection, i, 1);
            }

            assertEquals(Map.of("fdatasync", 2L * FLUSHES), callsSince(begin));
        }
    }

    @Test
    void withEveryWriteThoseInFlightOnAConnectionShareTheirSyncs() throws Exception {
        int writes = DEPTH * FLUSHES / 2;
        try (ServerProcess server = serveEveryWrite();
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            writeBlocks(connection, 0, 1);
            int begin = linesUntilNow();

            for (int i = 0; i < writes; i += DEPTH) {
                writeBlocks(connection, i, DEPTH);
            }

            long syncs = syncsSince(begin);
            System.out.printf("%.3f syncs a write%n", (double) syncs / writes);
            assertTrue(syncs >= 2 * writes / DEPTH, () -> "replies before a sync: " + syncs);
            assertTrue(syncs <= 0.5 * writes, () -> syncs + " syncs");
        }
    }

    private ServerProcess serveEveryWrite() throws IOException, InterruptedException {
        return serve("/sync", "--durability every-write --listen 127.0.0.1:0", pool);
    }

    @Test
    void writesThatNobodyFlushesTakeTwoSyncsSoonAfter() throws Exception {
        try (ServerProcess server = serve();
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            writeBlocks(connection, 0, 1);
            flush(connection);
            int begin = linesUntilNow();

            writeBlocks(connection, 0, LANES / 2);

            awaitSyncs(begin, 2);
            // Nothing is left for this one, which may come before the commit has ended.
            flush(connection);
            assertEquals(2, syncsSince(begin));
        }
    }

    private long syncsSince(int line) throws IOException {
        return callsSince(line).getOrDefault("fdatasync", 0L);
    }

    private void awaitSyncs(int begin, long count) throws IOException {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (syncsSince(begin) < count) {
            assertTrue(System.nanoTime() < deadline, "no commit came");
            Thread.onSpinWait();
        }
    }

    @Test
    void requestsThatComeTogetherShareTheirSystemCalls() throws Exception {
        Path inMemory = Pools.create(memory, "disk.pool", BLOCK_SIZE);
        // The calls of looking for the next request, while there is nothing to do, are left out.
        String words = "--poll 0 --listen 127.0.0.1:0";
        try (ServerProcess server = serve("%network,%desc", words, inMemory);
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            readBlocks(connection, DEPTH);
            int begin = linesUntilNow();

            for (int i = 0; i < BURSTS; i++) {
                readBlocks(connection, DEPTH);
            }

            List<String> lines = Files.readAllLines(trace);
            long calls =
                    lines.subList(begin, lines.size()).stream()
                            .filter(line -> !line.contains(" resumed>"))
                            .count();
            System.out.printf("%.3f system calls a request%n", (double) calls / BURSTS / DEPTH);
            assertTrue(calls >= BURSTS, () -> "nothing was traced: " + calls);
            assertTrue(calls <= 0.2 * BURSTS * DEPTH, () -> calls + " system calls");
        }
    }

    private static void readBlocks(NbdConnection connection, int count) throws IOException {
        for (int block = 0; block < count; block++) {
            connection.sendRead((long) block * BLOCK_SIZE, BLOCK_SIZE);
        }
        for (int i = 0; i < count; i++) {
            assertEquals(0, connection.receive().error());
        }
    }

    @Test
    void flushOfNothingTakesNoSync() throws Exception {
        try (ServerProcess server = serve();
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            writeBlocks(connection, 0, 1);
            flush(connection);
            int begin = linesUntilNow();

            for (int i = 0; i < FLUSHES; i++) {
                flush(connection);
            }

            assertEquals(Map.of(), callsSince(begin));
        }
    }
}
