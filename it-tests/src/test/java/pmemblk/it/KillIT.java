package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.opentest4j.AssertionFailedError;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Durability;
import pmemblk.pool.PoolOptions;

/**
 * kill -9 under load, over and over: no block torn, no replied write lost, and the pool consistent
 * as it was left.
 *
 * <p>A longer run: {@code -Dkill.cycles=10000 -Djunit.jupiter.execution.timeout.mode=disabled}.
 */
class KillIT {
    private static final int CYCLES = Integer.getInteger("kill.cycles", 200);
    private static final int CONNECTIONS = 4;
    private static final int MOST_REPLIES = 600;

    @Test
    void killedServerOnAFileLosesNoRepliedWrite(@TempDir(factory = Place.Disk.class) Path directory)
            throws Exception {
        killAndVerify(CYCLES / 2, Pools.create(directory, "disk.pool", 4096), 4096, "on-flush");
    }

    @Test
    void killedServerOfOddBlocksLosesNoRepliedWrite(
            @TempDir(factory = Place.Disk.class) Path directory) throws Exception {
        killAndVerify(CYCLES / 5, Pools.create(directory, "disk.pool", 520), 520, "on-flush");
    }

    @Test
    void killedServerThatSyncsEveryWriteLosesNone(
            @TempDir(factory = Place.Disk.class) Path directory) throws Exception {
        killAndVerify(
                CYCLES * 3 / 20, Pools.create(directory, "disk.pool", 4096), 4096, "every-write");
    }

    @Test
    void killedServerOnTmpfsLosesNoRepliedWrite(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        killAndVerify(
                CYCLES * 3 / 20, Pools.create(directory, "disk.pool", 4096), 4096, "on-flush");
    }

    @Test
    void killedServerOfAPoolSetLosesNoRepliedWrite(
            @TempDir(factory = Place.Disk.class) Path directory) throws Exception {
        Path set = directory.resolve("disk.set");
        String first = "10M " + directory.resolve("first");
        String second = "10M " + directory.resolve("second");
        Files.writeString(set, String.join("\n", "PMEMPOOLSET", first, second, ""));
        Command.of("pmempool create blk 4096", set).succeed();
        logOnEveryLane(set);
        killAndVerify(CYCLES / 10, set, 4096, "on-flush");
    }

    /** After that pmempool has no false alarm to raise, which nothing here tells of a set. */
    private static void logOnEveryLane(Path pool) throws IOException {
        PoolOptions options = PoolOptions.DEFAULT.withDurability(Durability.ON_FLUSH);
        try (BlockPool open = BlockPool.open(pool, options)) {
            ByteBuffer block = ByteBuffer.allocateDirect(open.blockSize());
            for (int lane = 0; lane < open.info().laneCount(); lane++) {
                open.write(lane, block.clear());
            }
            open.flush();
            open.zeroBytes(0, (long) open.info().laneCount() * open.blockSize());
        }
    }

    private static void killAndVerify(int cycles, Path pool, int blockSize, String durability)
            throws Exception {
        assertTrue(
                cycles > 0,
                "-Dkill.cycles=" + CYCLES + " is none of this test, 10 is the least for all");
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        VerifiedLoad load = new VerifiedLoad(CONNECTIONS, blockSize, seed);

        for (int cycle = 0; cycle < cycles; cycle++) {
            try (ServerProcess server =
                    ServerProcess.startBriefly("--durability " + durability, pool)) {
                load.verify(server.address(), "disk");
                load.run(server.address(), "disk", 1 + random.nextInt(MOST_REPLIES), server::kill);
            }
            Pools.checkKilledWithPmempool(pool);
        }
        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            load.verify(server.address(), "disk");
            load.verifyTheRestIsZero(server.address(), "disk");
        }
        Pools.checkKilledWithPmempool(pool);
    }

    @Test
    void pmempoolsFalseAlarmIsToldFromDamage(@TempDir(factory = Place.Tmpfs.class) Path directory)
            throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        long logOfLaneTwo = FirstSwaps.logOffset(pool, 2);
        ByteBuffer lbaAndOldEntry = ByteBuffer.allocate(8).putLong(0, 0x05000000_050000C0L);
        ByteBuffer noSlot = ByteBuffer.allocate(16);

        store(pool, logOfLaneTwo + 16, lbaAndOldEntry);
        assertThrows(AssertionFailedError.class, () -> Pools.checkWithPmempool(pool));
        Pools.checkKilledWithPmempool(pool);

        store(pool, logOfLaneTwo, noSlot);
        assertThrows(AssertionFailedError.class, () -> Pools.checkKilledWithPmempool(pool));
    }

    private static void store(Path pool, long offset, ByteBuffer bytes) throws IOException {
        try (FileChannel file = FileChannel.open(pool, StandardOpenOption.WRITE)) {
            file.write(bytes, offset);
        }
    }
}
