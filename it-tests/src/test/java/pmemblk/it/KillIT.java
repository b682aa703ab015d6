package pmemblk.it;

import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** kill -9 under load, over and over: no block torn, no replied write lost. */
class KillIT {
    private static final int KILLS = 20;
    private static final int MOST_REPLIES = 600;

    @Test
    void killedServerOnAFileLosesNoRepliedWrite(@TempDir(factory = Place.Disk.class) Path directory)
            throws Exception {
        killAndVerify(directory, 4096);
    }

    @Test
    void killedServerOnTmpfsLosesNoRepliedWrite(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        killAndVerify(directory, 4096);
    }

    @Test
    void killedServerOfOddBlocksLosesNoRepliedWrite(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        killAndVerify(directory, 520);
    }

    private static void killAndVerify(Path directory, int blockSize) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", blockSize);
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        VerifiedLoad load = new VerifiedLoad(blockSize, seed);

        for (int kill = 0; kill < KILLS; kill++) {
            try (ServerProcess server = ServerProcess.startTcp(pool)) {
                load.verify(server.address(), "disk");
                load.run(server.address(), "disk", 1 + random.nextInt(MOST_REPLIES), server::kill);
            }
            Pools.checkWithPmempool(pool);
        }
        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            load.verify(server.address(), "disk");
        }
        Pools.checkWithPmempool(pool);
    }
}
