package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import pmemblk.pool.BlockPool;

/** Pools made and judged from outside. */
final class Pools {
    private static final int MANY_BYTES = 1 << 16;

    private Pools() {}

    /** A pool with room for some thousand blocks, or some hundred large ones. */
    static Path create(Path directory, String name, int blockSize)
            throws IOException, InterruptedException {
        Path pool = directory.resolve(name);
        String size = blockSize > 4096 ? "64M" : "17M";
        Command.pmemblkNbd("create --size", size, "--block-size", blockSize, pool).succeed();
        return pool;
    }

    /** A pool of two arenas with blocks of 4096 bytes; the file is sparse, but for their maps. */
    static Path createOneTebibyte(Path directory) throws IOException {
        Path pool = directory.resolve("one-tebibyte.pool");
        try (RandomAccessFile file = new RandomAccessFile(pool.toFile(), "rw")) {
            file.setLength(1L << 40);
        }
        BlockPool.create(pool, 4096, 0, 0600).close();
        return pool;
    }

    /** Bytes of the disk that the pool is. */
    static long diskSize(Path pool) throws IOException, InterruptedException {
        String json = Command.pmemblkNbd("info --json", pool).succeed().output();
        Matcher member = Pattern.compile("\"diskSize\": (\\d+)").matcher(json);
        assertTrue(member.find(), json);
        return Long.parseLong(member.group(1));
    }

    /** Fails unless PMDK's own tool finds the pool consistent. */
    static void checkWithPmempool(Path pool) throws IOException, InterruptedException {
        String output = Command.of("pmempool check -v", pool).succeed().output();
        assertTrue(output.endsWith(": consistent\n"), output);
    }

    /**
     * Fails unless PMDK's own tool finds a pool consistent whose server was killed. Its one false
     * alarm does not count: a lane killed between the two halves of the first swap it ever logs.
     */
    static void checkKilledWithPmempool(Path pool) throws IOException, InterruptedException {
        Path copy = pool.resolveSibling(pool.getFileName() + ".copy");
        if (Command.of("pmempool check -q", pool).run().status() == 0) {
            return;
        }
        try {
            Files.copy(pool, copy);
            FirstSwaps.takeBack(copy);
            checkWithPmempool(copy);
        } finally {
            Files.deleteIfExists(copy);
        }
    }

    /** A file of random bytes. */
    static Path randomFile(Path file, long size) throws IOException {
        SplittableRandom random = new SplittableRandom(size);
        byte[] bytes = new byte[MANY_BYTES];
        try (OutputStream out = Files.newOutputStream(file)) {
            for (long left = size; left > 0; left -= MANY_BYTES) {
                random.nextBytes(bytes);
                out.write(bytes, 0, (int) Math.min(left, MANY_BYTES));
            }
        }
        return file;
    }
}
