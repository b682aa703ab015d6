package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;

import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server that is asked to stop while clients write. */
class ShutdownIT {
    private static final int REPLIES = 500;
    private static final int SIGNALS = 200;

    @Test
    void sigtermUnderLoadAnswersFlushesUnlocksAndExitsWith0(
            @TempDir(factory = Place.Disk.class) Path directory) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        VerifiedLoad load = new VerifiedLoad(4, 4096, 1);

        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            InetSocketAddress address = server.address();
            load.run(address, "disk", REPLIES, server::terminate);
            assertEquals(0, server.awaitEnd());
            assertThrows(ConnectException.class, () -> new NbdConnection(address, "disk"));
        }

        Pools.checkWithPmempool(pool);
        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            load.verify(server.address(), "disk");
        }
    }

    @Test
    void cve2024_7409SigtermWithAHundredBusyClientsLosesNoReplyAndTakesLessThanTenSeconds(
            @TempDir(factory = Place.Disk.class) Path directory) throws Exception {
        Path pool = directory.resolve("disk.pool");
        Command.pmemblkNbd("create --size 64M", pool).succeed();
        VerifiedLoad load = new VerifiedLoad(100, 4096, 3);

        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            load.run(
                    server.address(),
                    "disk",
                    20 * REPLIES,
                    () -> {
                        server.terminate();
                        assertTimeout(
                                Duration.ofSeconds(10), () -> assertEquals(0, server.awaitEnd()));
                    });
        }

        Pools.checkWithPmempool(pool);
        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            load.verify(server.address(), "disk");
            load.verifyTheRestIsZero(server.address(), "disk");
        }
    }

    @Test
    void sigintUnderLoadExitsWith0AndRemovesTheSocket(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 520);
        Path socket = directory.resolve("nbd.sock");
        VerifiedLoad load = new VerifiedLoad(4, 520, 2);

        try (ServerProcess server =
                ServerProcess.start(2, "--listen 127.0.0.1:0 --unix", socket, pool)) {
            load.run(server.address(), "disk", REPLIES, server::interrupt);
            assertEquals(0, server.awaitEnd());
        }

        assertFalse(Files.exists(socket));
        Pools.checkWithPmempool(pool);
        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            load.verify(server.address(), "disk");
        }
    }

    /** nbd-server did work in its signal handlers, and could lock itself up. */
    @Test
    void cve2015_0847SignalsThatPourInDoNotHangTheServer(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        VerifiedLoad load = new VerifiedLoad(4, 4096, 4);

        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            load.run(
                    server.address(),
                    "disk",
                    REPLIES,
                    () -> {
                        for (int i = 0; i < SIGNALS; i++) {
                            server.terminate();
                        }
                        assertTimeout(
                                Duration.ofSeconds(10), () -> assertEquals(0, server.awaitEnd()));
                    });
        }

        Pools.checkWithPmempool(pool);
    }
}
