package pmemblk.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import pmemblk.pool.BlockPool;
import pmemblk.pool.PoolOptions;

/**
 * Growth that is killed at one of its system calls: the pool is as it was, or as large as asked.
 */
class GrowIT {
    private static final int OLD_SIZE = 17 << 20;
    private static final int NEW_SIZE = 34 << 20;
    private static final int KILLED = 128 + 9;
    private static final String CALLS = "fallocate,pwrite64,fdatasync,fsync,fchmod,rename";

    /** Of growths at calls of one name, at most. */
    private static final int KILLS = 4;

    /** Of a line of a trace, unless it tells that a call goes on: thread and name. */
    private static final Pattern CALL = Pattern.compile("^(\\d+) +(\\w+)\\(");

    @TempDir(factory = Place.Disk.class)
    private static Path templates = Path.of("");

    private static byte[] content = {};

    @TempDir(factory = Place.Disk.class)
    private Path directory = Path.of("");

    private Path pool = Path.of("");

    @BeforeAll
    static void fillPool() throws Exception {
        Path template = Pools.create(templates, "disk.pool", 4096);
        try (BlockPool open = BlockPool.open(template, PoolOptions.DEFAULT)) {
            content = new byte[(int) open.byteSize()];
            new SplittableRandom(17).nextBytes(content);
            open.writeBytes(0, ByteBuffer.wrap(content));
        }
    }

    @BeforeEach
    void copyPool() throws IOException {
        pool = Files.copy(templates.resolve("disk.pool"), directory.resolve("disk.pool"));
    }

    private void requireContent() throws Exception {
        Pools.checkWithPmempool(pool);
        try (BlockPool open = BlockPool.open(pool, PoolOptions.DEFAULT.withReadOnly(true))) {
            byte[] found = new byte[(int) open.byteSize()];
            open.readBytes(0, ByteBuffer.wrap(found));
            assertArrayEquals(Arrays.copyOf(content, found.length), found);
        }
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    /**
     * A system call of a growth.
     *
     * @param number counts those of this name, from 1 on
     * @param renamed whether the new pool has its name by then
     */
    record Call(String name, int number, boolean renamed) {}

    /**
     * Some calls of a whole growth that change or sync files: of each name the first, the last and
     * some between.
     */
    private static List<Call> calls() throws Exception {
        Path grown = Files.copy(templates.resolve("disk.pool"), templates.resolve("grown.pool"));
        Path trace = templates.resolve("trace");
        Command.of("strace -f -qq --signal=none -e trace=" + CALLS + " -o", trace)
                .and(ServerProcess.LAUNCHER, "grow", "--size", NEW_SIZE, grown)
                .succeed();
        Map<String, List<Call>> calls = new LinkedHashMap<>();
        Set<String> threads = new HashSet<>();
        for (String line : Files.readAllLines(trace)) {
            Matcher found = CALL.matcher(line);
            assertTrue(found.find(), line);
            threads.add(found.group(1));
            String name = found.group(2);
            List<Call> same = calls.computeIfAbsent(name, none -> new ArrayList<>());
            boolean renamed = calls.containsKey("rename") && !name.equals("rename");
            same.add(new Call(name, same.size() + 1, renamed));
        }
        // Each would have numbers of its own.
        assertEquals(1, threads.size(), "threads that change files");
        List<Call> some = calls.values().stream().flatMap(GrowIT::spread).toList();
        assertTrue(some.stream().anyMatch(Call::renamed), "nothing comes after the rename");
        return some;
    }

    private static Stream<Call> spread(List<Call> calls) {
        int last = calls.size() - 1;
        return IntStream.range(0, KILLS)
                .map(i -> i * last / (KILLS - 1))
                .distinct()
                .mapToObj(calls::get);
    }

    @ParameterizedTest
    @MethodSource("calls")
    void killedBeforeTheRenameTheOldPoolIsThereAndGrowsTheNextTimeElseTheNewOneIs(Call call)
            throws Exception {
        String injection = "inject=%s:signal=KILL:when=%d".formatted(call.name, call.number);
        Command.of("strace -f -qq -o /dev/null -e", injection, "-e", "trace=" + call.name)
                .and(ServerProcess.LAUNCHER, "grow", "--size", NEW_SIZE, pool)
                .end(KILLED);

        if (!call.renamed) {
            assertEquals(OLD_SIZE, Files.size(pool));
            requireContent();
            Command.pmemblkNbd("grow --size", NEW_SIZE, pool).succeed();
        }
        assertEquals(NEW_SIZE, Files.size(pool));
        assertEquals(List.of("disk.pool"), files());
        requireContent();
    }

    @Test
    void whoOpenedTheOldFileAndLocksItTooLateIsTurnedAway() throws Exception {
        Path log = directory.resolve("log");
        ProcessBuilder late =
                new ProcessBuilder(
                                "strace",
                                "-f",
                                "-qq",
                                "-o",
                                log.toString(),
                                "-e",
                                "trace=openat,flock",
                                "-e",
                                "inject=flock:delay_enter=8s",
                                ServerProcess.LAUNCHER.toString(),
                                "block",
                                "zero",
                                pool.toString(),
                                "0")
                        .redirectErrorStream(true);
        Process process = late.start();
        awaitOpen(log);

        Command.pmemblkNbd("grow --size", NEW_SIZE, pool).succeed();
        assertTrue(process.isAlive(), "the delay is too short");

        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertEquals(2, process.exitValue(), output);
        assertTrue(output.contains("is in use"), output);
        requireContent();
    }

    /** Waits until the pool was opened for writing. */
    private void awaitOpen(Path log) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        boolean open = false;
        while (!open) {
            assertTrue(System.nanoTime() < deadline, "the pool is not opened");
            Thread.onSpinWait();
            open =
                    Files.exists(log)
                            && Files.readString(log)
                                    .contains(
                                            "\"%s\", O_RDWR|O_NONBLOCK|O_CLOEXEC".formatted(pool));
        }
    }
}
