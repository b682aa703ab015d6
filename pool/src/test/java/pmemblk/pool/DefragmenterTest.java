package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import pmemblk.pool.btt.Rows;

/** Pools are put in order while nobody uses them. */
@Timeout(60)
class DefragmenterTest {
    private static final int BLOCK_SIZE = 4096;
    private static final int BLOCKS = 2000;

    @TempDir private Path disk;

    @TempDir(factory = InMemory.class)
    private Path memory;

    @ParameterizedTest
    @CsvSource({"true, MEMORY", "true, ALL", "false, ALL"})
    void blocksComeTogetherOnceNobodyUsesThePool(boolean inMemory, Defragment which)
            throws IOException {
        Path path = newPool(inMemory);
        try (BlockPool pool = open(path, which)) {
            scatter(pool);
            // Used all the time, it stays as it is.
            ByteBuffer block = ByteBuffer.allocateDirect(BLOCK_SIZE);
            long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(1500);
            while (System.nanoTime() < end) {
                pool.read(0, block.clear());
            }
            int before = Rows.pairs(path, BLOCKS);
            assertTrue(before < BLOCKS / 2, before + " pairs of neighbours");

            while (Rows.pairs(path, BLOCKS) < BLOCKS * 9 / 10) {
                Thread.onSpinWait();
            }
        }
        verify(path);
    }

    @ParameterizedTest
    @CsvSource({"true, OFF", "false, OFF", "false, MEMORY"})
    void othersStayAsTheyAre(boolean inMemory, Defragment which) throws IOException {
        Path path = newPool(inMemory);
        try (BlockPool pool = open(path, which)) {
            scatter(pool);
            long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(1500);
            while (System.nanoTime() < end) {
                Thread.onSpinWait();
            }
        }
        int after = Rows.pairs(path, BLOCKS);
        assertTrue(after < BLOCKS / 2, after + " pairs of neighbours");
        verify(path);
    }

    private Path newPool(boolean inMemory) throws IOException {
        Path path = (inMemory ? memory : disk).resolve("disk.pool");
        BlockPool.create(path, BLOCK_SIZE, 17 << 20, 0600).close();
        return path;
    }

    private static BlockPool open(Path path, Defragment which) throws IOException {
        return BlockPool.open(
                path,
                PoolOptions.DEFAULT.withDurability(Durability.ON_FLUSH).withDefragment(which));
    }

    /** Writes all blocks several times over, the last time each with its number. */
    private static void scatter(BlockPool pool) throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        ByteBuffer block = ByteBuffer.allocateDirect(BLOCK_SIZE);
        for (int i = 0; i < 5 * BLOCKS; i++) {
            int number = random.nextInt(BLOCKS);
            pool.write(number, block.clear().putInt(0, number));
        }
        // 7 and the number of blocks have no common factor: each is met once.
        for (int i = 0; i < BLOCKS; i++) {
            int number = i * 7 % BLOCKS;
            pool.write(number, block.clear().putInt(0, number));
        }
    }

    private static void verify(Path path) throws IOException {
        assertTrue(BlockPool.check(path, 0).isConsistent());
        ByteBuffer block = ByteBuffer.allocateDirect(BLOCK_SIZE);
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            for (int number = 0; number < BLOCKS; number++) {
                pool.read(number, block.clear());
                assertEquals(number, block.getInt(0));
            }
        }
    }
}
