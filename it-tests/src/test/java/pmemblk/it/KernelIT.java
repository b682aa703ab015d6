package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.opentest4j.AssertionFailedError;

/**
 * The Linux kernel as the client: /dev/nbd0 in a guest, attached with 512-byte requests whatever
 * the size of the pool's blocks, for which its nbd-client never asks.
 */
class KernelIT {
    private static final Duration LIMIT = Duration.ofMinutes(6);
    private static final int KILLS = 4;
    private static final int BLOCK_SIZE = 4096;
    private static final Duration POLL = Duration.ofMillis(100);

    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    /** Runs a script in a guest whose kernel may not complain, and returns what it printed. */
    private String inGuest(String script, int blockSize) throws IOException, InterruptedException {
        Path pool = directory.resolve("vol.pool");
        String output;
        try (ServerProcess server = serve(pool, blockSize, 0)) {
            output =
                    Command.of(guestCommand(server, "--strict", script))
                            .within(LIMIT)
                            .succeed()
                            .output();
        }
        Pools.checkWithPmempool(pool);
        return output;
    }

    private static ServerProcess serve(Path pool, int blockSize, int port)
            throws IOException, InterruptedException {
        return ServerProcess.start(
                1,
                "--create 400M --block-size %d --listen 127.0.0.1:%d".formatted(blockSize, port),
                pool);
    }

    private static String guestCommand(ServerProcess server, String options, String script) {
        return "kernel/with-kernel-nbd --server 127.0.0.1:%d --export vol %s -- kernel/guest/%s"
                .formatted(server.address().getPort(), options, script);
    }

    @ParameterizedTest
    @ValueSource(ints = {512, 520, BLOCK_SIZE, 65_536})
    void ext4IsMadeWrittenTrimmedRemountedAndClean(int blockSize) throws Exception {
        String output = inGuest("ext4-roundtrip.sh 80", blockSize);

        assertTrue(output.contains("files read back after fstrim"), output);
    }

    @Test
    void xfsIsMadeWrittenTrimmedRemountedAndClean() throws Exception {
        String output = inGuest("xfs-roundtrip.sh", BLOCK_SIZE);

        assertTrue(output.contains("files read back after fstrim"), output);
    }

    @Test
    void discardZeroFlushAndFuaLeaveNeighboursAlone() throws Exception {
        String output = inGuest("discard-zero.sh", BLOCK_SIZE);

        assertTrue(output.contains("logical_block_size:512"), output);
        assertTrue(output.contains("write_cache:write back"), output);
        assertTrue(output.contains("fua:1"), output);
        assertTrue(output.contains("discarded blocks read as zeros"), output);
        assertTrue(output.contains("neighbours intact"), output);
    }

    @Test
    void fioVerifiesWhatItWroteThroughTheKernel() throws Exception {
        String output = inGuest("fio-verify.sh 32 2", BLOCK_SIZE);

        assertTrue(output.contains("verified 32 MB"), output);
    }

    /** The pool lies on an ordinary file, where a killed server leaves held writes behind. */
    @ParameterizedTest
    @ValueSource(strings = {"ext4", "xfs"})
    void mountedFilesystemSeesKillsAndRestartsOfTheServerAsPauses(
            String fs, @TempDir(factory = Place.Disk.class) Path disk) throws Exception {
        Path pool = disk.resolve("vol.pool");
        Path output = disk.resolve("output");
        Process guest;
        int port;
        try (ServerProcess server = serve(pool, BLOCK_SIZE, 0)) {
            port = server.address().getPort();
            guest = startGuest(server, "survive-restart.sh %s %d 15".formatted(fs, KILLS), output);
            awaitLine(guest, output, "kill 1 of " + KILLS);
            server.kill();
        }
        for (int kill = 2; kill <= KILLS; kill++) {
            try (ServerProcess server = serve(pool, BLOCK_SIZE, port)) {
                awaitLine(guest, output, "kill %d of %d".formatted(kill, KILLS));
                server.kill();
            }
        }
        try (ServerProcess server = serve(pool, BLOCK_SIZE, port)) {
            boolean ended = guest.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS);
            guest.destroy();
            String all = Files.readString(output) + server.log();
            assertTrue(ended && guest.exitValue() == 0, all);
            assertTrue(all.contains("reconnected"), all);
            assertTrue(all.contains("blocks verified"), all);
        }
        Pools.checkWithPmempool(pool);
    }

    /**
     * A guest whose device waits for a lost server, and whose kernel may complain of nothing else.
     */
    private static Process startGuest(ServerProcess server, String script, Path output)
            throws IOException {
        // The kernel sends a request again once it has waited for longer than the time-out.
        String options = "--strict --reconnect 60 --io-timeout 3";
        return new ProcessBuilder(Command.words(guestCommand(server, options, script)))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
    }

    private static void awaitLine(Process guest, Path output, String line)
            throws IOException, InterruptedException {
        Instant deadline = Instant.now().plus(LIMIT);
        while (!Files.readString(output).contains(line)) {
            if (guest.waitFor(POLL.toMillis(), TimeUnit.MILLISECONDS)
                    || Instant.now().isAfter(deadline)) {
                guest.destroy();
                throw new AssertionFailedError(
                        "no line " + line + " came: " + Files.readString(output));
            }
        }
    }
}
