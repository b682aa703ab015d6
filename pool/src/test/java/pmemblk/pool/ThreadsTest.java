package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Many threads on few blocks. */
@Timeout(120)
class ThreadsTest {
    private static final int BLOCK_SIZE = 4096;
    private static final int LARGE_BLOCK_SIZE = 256 << 10;
    private static final int LANES = 256;
    private static final int BLOCKS = 4;
    private static final int THREADS = 6;

    /** As many as are filled where they are, if they read as zeroes. */
    private static final int NEW_BLOCKS = 8;

    private static final int ROUNDS = 2000;

    @TempDir private Path folder;

    @TempDir(factory = InMemory.class)
    private Path memory;

    /** Where writes go. */
    enum Place {
        MEMORY(Durability.EVERY_WRITE, 0),
        FILE(Durability.ON_FLUSH, 0),
        SYNCED_FILE(Durability.EVERY_WRITE, 0),
        /** As a rule; the cache has room for a few blocks. */
        CACHE(Durability.ON_FLUSH, 5);

        private final Durability durability;
        private final int cachedBlocks;

        Place(Durability durability, int cachedBlocks) {
            this.durability = durability;
            this.cachedBlocks = cachedBlocks;
        }

        PoolOptions options(int blockSize) {
            return PoolOptions.DEFAULT
                    .withDurability(durability)
                    .withWriteCacheSize(cachedBlocks * (blockSize + 16L));
        }
    }

    private BlockPool open(Place place) throws IOException {
        return open(place, BLOCK_SIZE);
    }

    private BlockPool open(Place place, int blockSize) throws IOException {
        Path path = (place == Place.MEMORY ? memory : folder).resolve("disk.pool");
        long smallest = (long) blockSize * (2 * LANES);
        BlockPool.create(path, blockSize, smallest + (17 << 20), 0600).close();
        return BlockPool.open(path, place.options(blockSize));
    }

    private static void runAll(List<Callable<Void>> tasks) throws Exception {
        try (ExecutorService threads = Executors.newFixedThreadPool(tasks.size())) {
            for (Future<Void> done : threads.invokeAll(tasks)) {
                done.get();
            }
        }
    }

    /**
     * The block is large: to copy it takes so long that others come meanwhile. A single writer
     * comes back soonest to the block that it has just freed, and that somebody may be reading.
     */
    @ParameterizedTest
    @CsvSource({"MEMORY, 1", "MEMORY, 3", "FILE, 1", "FILE, 3", "CACHE, 1", "CACHE, 3"})
    void aReadNeverMixesWrites(Place place, int writers) throws Exception {
        try (BlockPool pool = open(place, LARGE_BLOCK_SIZE)) {
            CountDownLatch writing = new CountDownLatch(writers);
            List<Callable<Void>> tasks = new ArrayList<>();
            for (int i = 0; i < THREADS; i++) {
                int seed = i;
                tasks.add(
                        () -> {
                            if (seed >= writers) {
                                readUnmixed(pool, writing);
                                return null;
                            }
                            try {
                                overwrite(pool, new SplittableRandom(seed));
                            } finally {
                                writing.countDown();
                            }
                            return null;
                        });
            }
            runAll(tasks);
        }
    }

    /** Writes one block again and again, its bytes all the same; now and then zeroes or flushes. */
    private static void overwrite(BlockPool pool, SplittableRandom random) throws IOException {
        ByteBuffer block = ByteBuffer.allocateDirect(LARGE_BLOCK_SIZE);
        for (int i = 0; i < ROUNDS; i++) {
            switch (random.nextInt(100)) {
                case 0 -> pool.flush();
                case 1, 2, 3 -> pool.setZero(0);
                default -> {
                    MemorySegment.ofBuffer(block.clear()).fill((byte) random.nextInt());
                    pool.write(0, block);
                }
            }
        }
    }

    private static void readUnmixed(BlockPool pool, CountDownLatch writing) throws IOException {
        ByteBuffer block = ByteBuffer.allocateDirect(LARGE_BLOCK_SIZE);
        while (writing.getCount() > 0) {
            pool.read(0, block.clear());
            requireUnmixed(block.clear());
        }
    }

    private static void requireUnmixed(ByteBuffer block) {
        int overlap = LARGE_BLOCK_SIZE - 1;
        int mixed = block.slice(0, overlap).mismatch(block.slice(1, overlap));
        assertEquals(-1, mixed, "where a read goes on with another write");
    }

    /**
     * Blocks that lie in a row are read at once. A writer that goes backwards moves each to where
     * the one behind it was, so that there are always such, and often the last of them is free. In
     * a tenth of the rounds a fault in tracking them went unseen.
     */
    @ParameterizedTest
    @EnumSource(names = {"MEMORY", "FILE", "CACHE"})
    void aReadOfSeveralBlocksMixesWritesOfNone(Place place) throws Exception {
        try (BlockPool pool = open(place, LARGE_BLOCK_SIZE)) {
            CountDownLatch writing = new CountDownLatch(1);
            List<Callable<Void>> tasks = new ArrayList<>();
            tasks.add(
                    () -> {
                        ByteBuffer block = ByteBuffer.allocateDirect(LARGE_BLOCK_SIZE);
                        for (int i = 0; i < 10 * ROUNDS; i++) {
                            MemorySegment.ofBuffer(block.clear()).fill((byte) i);
                            pool.write(BLOCKS - 1 - i % BLOCKS, block);
                        }
                        writing.countDown();
                        return null;
                    });
            for (int i = 1; i < THREADS; i++) {
                tasks.add(
                        () -> {
                            ByteBuffer blocks =
                                    ByteBuffer.allocateDirect(BLOCKS * LARGE_BLOCK_SIZE);
                            while (writing.getCount() > 0) {
                                pool.readBytes(0, blocks.clear());
                                for (int block = 0; block < BLOCKS; block++) {
                                    int start = block * LARGE_BLOCK_SIZE;
                                    requireUnmixed(blocks.slice(start, LARGE_BLOCK_SIZE));
                                }
                            }
                            return null;
                        });
            }
            runAll(tasks);
        }
    }

    /** New blocks are filled where they are, and filled there again after they were zeroed. */
    @Test
    void aReadOfABlockThatIsFilledWhereItIsNeverMixesWrites() throws Exception {
        try (BlockPool pool = open(Place.FILE, LARGE_BLOCK_SIZE)) {
            CountDownLatch writing = new CountDownLatch(1);
            List<Callable<Void>> tasks = new ArrayList<>();
            tasks.add(
                    () -> {
                        int length = NEW_BLOCKS * LARGE_BLOCK_SIZE;
                        ByteBuffer[] blocks = new ByteBuffer[2];
                        for (int i = 0; i < 2; i++) {
                            blocks[i] = ByteBuffer.allocateDirect(length);
                            MemorySegment.ofBuffer(blocks[i]).fill((byte) i);
                        }
                        for (int i = 0; i < ROUNDS; i++) {
                            pool.writeBytes(0, blocks[i % 2].clear());
                            pool.zeroBytes(0, length);
                        }
                        writing.countDown();
                        return null;
                    });
            for (int i = 1; i < THREADS; i++) {
                tasks.add(
                        () -> {
                            readUnmixed(pool, writing);
                            return null;
                        });
            }
            runAll(tasks);
        }
    }

    /**
     * A write may come just while a commit gathers its batch, an earlier one of its block in it.
     */
    @ParameterizedTest
    @EnumSource(names = {"MEMORY", "FILE", "CACHE"})
    void noBlockIsLostOrGetsTwoOwnersWhateverComesDuringCommits(Place place) throws Exception {
        BlockPool pool = open(place);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(4);
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            int seed = i;
            tasks.add(
                    () -> {
                        SplittableRandom random = new SplittableRandom(seed);
                        ByteBuffer blocks = ByteBuffer.allocateDirect(NEW_BLOCKS * BLOCK_SIZE);
                        while (System.nanoTime() < end) {
                            MemorySegment.ofBuffer(blocks.clear()).fill((byte) random.nextInt());
                            switch (random.nextInt(10)) {
                                case 0 -> pool.flush();
                                case 1 -> pool.setZero(random.nextInt(BLOCKS));
                                case 2 -> pool.zeroBytes(0, blocks.capacity());
                                case 3 -> pool.writeBytes(0, blocks);
                                default ->
                                        pool.write(
                                                random.nextInt(BLOCKS),
                                                blocks.slice(0, BLOCK_SIZE));
                            }
                        }
                        return null;
                    });
        }
        ByteBuffer written = ByteBuffer.allocate(NEW_BLOCKS * BLOCK_SIZE);
        try (pool) {
            runAll(tasks);
            pool.readBytes(0, written);
        }

        assertEquals(List.of(), BlockPool.check(pool.info().path(), 0).damage());
        ByteBuffer found = ByteBuffer.allocate(NEW_BLOCKS * BLOCK_SIZE);
        try (BlockPool reopened = BlockPool.open(pool.info().path(), PoolOptions.DEFAULT)) {
            reopened.readBytes(0, found);
        }
        assertEquals(written.flip(), found.flip());
    }

    /**
     * Each thread changes blocks of its own in all the ways there are, while others flush, and
     * bring blocks from the cache to the table and back beside their neighbours.
     */
    @ParameterizedTest
    @EnumSource(names = {"MEMORY", "FILE", "CACHE"})
    void everybodyFindsTheLastWriteAndNothingOlder(Place place) throws Exception {
        BlockPool pool = open(place);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(4);
        byte[][] last = new byte[THREADS][BLOCK_SIZE];
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            int block = i;
            tasks.add(
                    () -> {
                        SplittableRandom random = new SplittableRandom(block);
                        while (System.nanoTime() < end) {
                            change(pool, block, last[block], random);
                            ByteBuffer found = ByteBuffer.allocate(BLOCK_SIZE);
                            pool.read(block, found);
                            assertEquals(ByteBuffer.wrap(last[block]), found.flip());
                        }
                        return null;
                    });
        }
        tasks.add(
                () -> {
                    while (System.nanoTime() < end) {
                        pool.writeBack();
                        pool.flush();
                    }
                    return null;
                });
        tasks.add(
                () -> {
                    while (System.nanoTime() < end) {
                        pool.table().table().defragment(() -> System.nanoTime() < end);
                    }
                    return null;
                });
        try (pool) {
            runAll(tasks);
        }

        assertEquals(List.of(), BlockPool.check(pool.info().path(), 0).damage());
        try (BlockPool reopened = BlockPool.open(pool.info().path(), PoolOptions.DEFAULT)) {
            for (int block = 0; block < THREADS; block++) {
                ByteBuffer found = ByteBuffer.allocate(BLOCK_SIZE);
                reopened.read(block, found);
                assertEquals(ByteBuffer.wrap(last[block]), found.flip());
            }
        }
    }

    /** Changes a block, or a part of it, and notes that in {@code content}. */
    private static void change(BlockPool pool, int block, byte[] content, SplittableRandom random)
            throws IOException {
        long offset = (long) block * BLOCK_SIZE;
        int from = 0;
        int to = BLOCK_SIZE;
        int how = random.nextInt(10);
        if (how == 0) {
            from = random.nextInt(BLOCK_SIZE);
            to = from + random.nextInt(BLOCK_SIZE - from);
        }
        Arrays.fill(content, from, to, how == 1 ? 0 : (byte) random.nextInt());
        ByteBuffer bytes =
                ByteBuffer.allocateDirect(to - from).put(content, from, to - from).flip();
        switch (how) {
            case 0 -> pool.writeBytes(offset + from, bytes);
            case 1 -> pool.zeroBytes(offset, BLOCK_SIZE);
            case 2, 3 -> pool.writeBytesThrough(offset, bytes);
            default -> pool.write(block, bytes);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"MEMORY", "FILE", "CACHE"})
    void noEditOfAPartUndoesAnother(Place place) throws Exception {
        int part = BLOCK_SIZE / THREADS;
        try (BlockPool pool = open(place)) {
            List<Callable<Void>> tasks = new ArrayList<>();
            for (int i = 0; i < THREADS; i++) {
                int offset = i * part;
                tasks.add(
                        () -> {
                            editOwnPart(pool, offset, part);
                            return null;
                        });
            }
            tasks.add(
                    () -> {
                        for (int i = 0; i < 50; i++) {
                            pool.flush();
                        }
                        return null;
                    });
            runAll(tasks);
        }
    }

    /** Counts up in bytes that nobody else writes, in a block that others edit too. */
    private static void editOwnPart(BlockPool pool, int offset, int part) throws IOException {
        for (int i = 1; i <= 500; i++) {
            byte[] bytes = new byte[part];
            Arrays.fill(bytes, (byte) i);
            pool.writeBytes(offset, ByteBuffer.wrap(bytes));
            ByteBuffer read = ByteBuffer.allocate(part);
            pool.readBytes(offset, read);
            assertEquals(ByteBuffer.wrap(bytes), read.flip(), "round " + i);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"MEMORY", "FILE", "CACHE"})
    void closeWaitsForWhoIsStillAtIt(Place place) throws Exception {
        BlockPool pool = open(place);
        CountDownLatch begun = new CountDownLatch(THREADS);
        AtomicInteger refused = new AtomicInteger();
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            tasks.add(
                    () -> {
                        ByteBuffer block = ByteBuffer.allocateDirect(BLOCK_SIZE);
                        IllegalStateException closed =
                                assertThrows(
                                        IllegalStateException.class,
                                        () -> {
                                            while (true) {
                                                pool.write(1, block.clear());
                                                begun.countDown();
                                            }
                                        });
                        assertEquals("the pool is closed", closed.getMessage());
                        refused.incrementAndGet();
                        return null;
                    });
        }
        tasks.add(
                () -> {
                    begun.await();
                    pool.close();
                    return null;
                });

        runAll(tasks);

        assertEquals(THREADS, refused.get());
        assertTrue(BlockPool.check(pool.info().path(), 0).isConsistent());
    }

    @ParameterizedTest
    @EnumSource(names = {"FILE", "SYNCED_FILE", "CACHE"})
    void anInterruptedThreadHarmsNobody(Place place) throws Exception {
        try (BlockPool pool = open(place)) {
            Thread interrupted =
                    Thread.ofPlatform()
                            .start(
                                    () -> {
                                        Thread.currentThread().interrupt();
                                        try {
                                            pool.write(0, ByteBuffer.allocate(BLOCK_SIZE));
                                            pool.flush();
                                        } catch (IOException e) {
                                            throw new AssertionError(e);
                                        }
                                    });
            interrupted.join();

            pool.write(1, ByteBuffer.allocate(BLOCK_SIZE));
            pool.flush();
        }
    }
}
