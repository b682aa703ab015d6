package pmemblk.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import pmemblk.pool.BlockPool;
import pmemblk.pool.PoolOptions;

/**
 * Growth that is killed at one of its system calls: the pool is as it was, or as large as asked.
 */
class GrowIT {
    private static final int OLD_SIZE = 17 << 20;
    private static final int NEW_SIZE = 34 << 20;
    private static final int KILLED = 128 + 9;

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

    /** The command, killed as it enters a system call for the n-th time. */
    private Command growKilledAt(String systemCall, int n) {
        return Command.of(
                "strace -f -qq -o /dev/null -e",
                "trace=" + systemCall,
                "-e",
                "inject=%s:signal=KILL:when=%d".formatted(systemCall, n),
                ServerProcess.LAUNCHER,
                "grow",
                "--size",
                NEW_SIZE,
                pool);
    }

    @ParameterizedTest
    @CsvSource({
        // The old pool is opened, and the new file made.
        "fdatasync, 1",
        "fallocate, 1",
        // Its flog, info blocks and descriptor.
        "pwrite64, 1",
        "pwrite64, 4",
        // The blocks and the map.
        "pwrite64, 5",
        "pwrite64, 12",
        "fdatasync, 6",
        // The header.
        "pwrite64, 13",
        "fdatasync, 7",
        // Mode and name.
        "fchmod, 1",
        "fsync, 1",
        "rename, 1",
    })
    void beforeTheRenameTheOldPoolIsThereAndGrowsTheNextTime(String systemCall, int n)
            throws Exception {
        growKilledAt(systemCall, n).end(KILLED);

        assertEquals(OLD_SIZE, Files.size(pool));
        requireContent();
        Command.pmemblkNbd("grow --size", NEW_SIZE, pool).succeed();
        assertEquals(NEW_SIZE, Files.size(pool));
        assertEquals(List.of("disk.pool"), files());
        requireContent();
    }

    @ParameterizedTest
    @CsvSource({"fsync, 3", "fsync, 4"})
    void afterTheRenameTheNewPoolIsThere(String systemCall, int n) throws Exception {
        growKilledAt(systemCall, n).end(KILLED);

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
