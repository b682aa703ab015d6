package pmemblk.it;

import java.io.IOException;
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
        killAndVerify(directory, 4096, "on-flush");
    }

    @Test
    void killedServerThatSyncsEveryWriteLosesNone(
            @TempDir(factory = Place.Disk.class) Path directory) throws Exception {
        killAndVerify(directory, 4096, "every-write");
    }

    @Test
    void killedServerOnTmpfsLosesNoRepliedWrite(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        killAndVerify(directory, 4096, "on-flush");
    }

    @Test
    void killedServerOfOddBlocksLosesNoRepliedWrite(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        killAndVerify(directory, 520, "on-flush");
    }

    private static ServerProcess serve(Path pool, String durability)
            throws IOException, InterruptedException {
        return ServerProcess.start(1, "--listen 127.0.0.1:0 --durability " + durability, pool);
    }

    private static void killAndVerify(Path directory, int blockSize, String durability)
            throws Exception {
        Path pool = Pools.create(directory, "disk.pool", blockSize);
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        VerifiedLoad load = new VerifiedLoad(blockSize, seed);

        for (int kill = 0; kill < KILLS; kill++) {
            try (ServerProcess server = serve(pool, durability)) {
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
