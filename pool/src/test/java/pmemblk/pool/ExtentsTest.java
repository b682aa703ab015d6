package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static pmemblk.pool.BlockState.DATA;
import static pmemblk.pool.BlockState.ERROR;
import static pmemblk.pool.BlockState.ZERO;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a pool says that its blocks hold. */
class ExtentsTest {
    private static final int BLOCK_SIZE = 520;

    @TempDir private Path folder;
    private BlockPool pool;

    private record Extent(BlockState state, long length) {}

    @BeforeEach
    void create() throws IOException {
        pool =
                BlockPool.create(
                        folder.resolve("disk.pool"), BLOCK_SIZE, BlockPool.MIN_POOL_SIZE, 0600);
    }

    @AfterEach
    void close() throws IOException {
        pool.close();
    }

    private List<Extent> extents(long offset, long length) throws IOException {
        List<Extent> extents = new ArrayList<>();
        pool.extents(offset, length, (state, count) -> extents.add(new Extent(state, count)));
        return extents;
    }

    private void write(long block) throws IOException {
        pool.write(block, ByteBuffer.allocate(BLOCK_SIZE));
    }

    @Test
    void newPoolIsOneExtentOfZeroes() throws IOException {
        assertEquals(List.of(new Extent(ZERO, pool.byteSize())), extents(0, pool.byteSize()));
        assertEquals(List.of(), extents(7, 0));
        assertThrows(IndexOutOfBoundsException.class, () -> extents(1, pool.byteSize()));
    }

    @Test
    void extentsEndWhereTheRangeDoes() throws IOException {
        write(2);
        write(3);
        pool.setError(4);

        assertEquals(
                List.of(
                        new Extent(ZERO, 1),
                        new Extent(DATA, 2 * BLOCK_SIZE),
                        new Extent(ERROR, BLOCK_SIZE),
                        new Extent(ZERO, 3)),
                extents(2 * BLOCK_SIZE - 1, 3 * BLOCK_SIZE + 4));
        assertEquals(List.of(new Extent(DATA, 10)), extents(2 * BLOCK_SIZE + 5, 10));
    }

    @Test
    void scanEndsWhenTheVisitorHasHadEnough() throws IOException {
        write(0);
        write(2);
        List<Extent> seen = new ArrayList<>();

        pool.extents(
                0,
                pool.byteSize(),
                (state, length) -> {
                    seen.add(new Extent(state, length));
                    return seen.size() < 2;
                });

        assertEquals(List.of(new Extent(DATA, BLOCK_SIZE), new Extent(ZERO, BLOCK_SIZE)), seen);
    }

    @Test
    void statesInMemoryFollowEveryChange(@TempDir(factory = InMemory.class) Path memory)
            throws IOException {
        pool.close();
        Path path = memory.resolve("disk.pool");
        pool = BlockPool.create(path, BLOCK_SIZE, BlockPool.MIN_POOL_SIZE, 0600);

        assertThatStatesFollowEveryChange();
    }

    @Test
    void statesFollowEveryChangeFlushedOrHeld() throws IOException {
        assertThatStatesFollowEveryChange();
    }

    private void assertThatStatesFollowEveryChange() throws IOException {
        SplittableRandom random = new SplittableRandom(11);
        BlockState[] model = new BlockState[(int) pool.blockCount()];
        Arrays.fill(model, ZERO);
        for (int i = 0; i < 3000; i++) {
            // Some lie in the next page of map entries.
            int block = 924 + random.nextInt(200);
            switch (random.nextInt(8)) {
                case 0 -> pool.flush();
                case 1 -> {
                    pool.setError(block);
                    model[block] = ERROR;
                }
                case 2, 3 -> {
                    pool.setZero(block);
                    model[block] = ZERO;
                }
                default -> {
                    write(block);
                    model[block] = DATA;
                }
            }
            if (i % 20 == 0) {
                assertArrayEquals(model, states(), "round " + i);
            }
        }
    }

    /** The states of all blocks, once it is seen that no two extents should have been one. */
    private BlockState[] states() throws IOException {
        List<BlockState> states = new ArrayList<>();
        BlockState previous = null;
        for (Extent extent : extents(0, pool.byteSize())) {
            assertEquals(true, extent.state() != previous, "an extent was told in two");
            previous = extent.state();
            for (long done = 0; done < extent.length(); done += BLOCK_SIZE) {
                states.add(extent.state());
            }
        }
        return states.toArray(BlockState[]::new);
    }
}
