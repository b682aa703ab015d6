package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;

/** A process that writes to a pool and is gone before any of it is flushed. */
final class KilledWriter {
    private KilledWriter() {}

    /** Fills the first {@code count} blocks with bytes of 7, half of them at once, and dies. */
    static void run(Path pool, int count, Path heldWrites)
            throws IOException, InterruptedException {
        run(pool, count, heldWrites, 0);
    }

    /** Does that with a write cache of so many bytes. */
    static void run(Path pool, int count, Path heldWrites, long cacheSize)
            throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "--enable-native-access=ALL-UNNAMED",
                                "-cp",
                                System.getProperty("java.class.path"),
                                KilledWriter.class.getName(),
                                pool.toString(),
                                Integer.toString(count),
                                heldWrites.toString(),
                                Long.toString(cacheSize))
                        .inheritIO()
                        .start();
        assertEquals(9, process.waitFor());
    }

    /** What the first blocks hold then. */
    static byte[] content(int blockSize) {
        byte[] bytes = new byte[blockSize];
        Arrays.fill(bytes, (byte) 7);
        return bytes;
    }

    public static void main(String[] args) throws IOException {
        PoolOptions options =
                PoolOptions.DEFAULT
                        .withDurability(Durability.ON_FLUSH)
                        .withHeldWritesDirectory(Path.of(args[2]))
                        .withWriteCacheSize(Long.parseLong(args[3]));
        try (BlockPool pool = BlockPool.open(Path.of(args[0]), options)) {
            int count = Integer.parseInt(args[1]);
            int single = (count + 1) / 2;
            for (int block = 0; block < single; block++) {
                pool.write(block, ByteBuffer.wrap(content(pool.blockSize())));
            }
            pool.writeBytes(
                    (long) single * pool.blockSize(),
                    ByteBuffer.wrap(content((count - single) * pool.blockSize())));
            Runtime.getRuntime().halt(9);
        }
    }
}
