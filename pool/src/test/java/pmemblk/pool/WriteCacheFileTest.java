package pmemblk.pool;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What becomes of the blocks that a killed process had in its write cache, and of their file. */
class WriteCacheFileTest {
    private static final int BLOCK_SIZE = 4096;
    private static final int WRITTEN = 40;

    /** Room for more blocks than are written. */
    private static final long LARGE = 1 << 20;

    /** Room for fewer. */
    private static final long SMALL = 100_000;

    @TempDir private Path folder;

    @TempDir(factory = InMemory.class)
    private Path memory;

    private Path path;

    @BeforeEach
    void makePool() throws IOException {
        path = folder.resolve("disk.pool");
        BlockPool.create(path, BLOCK_SIZE, 20 << 20, 0600).close();
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(memory)) {
            return files.sorted().toList();
        }
    }

    private Path cacheFile() throws IOException {
        Path file = files().getLast();
        assertTrue(file.toString().endsWith("-cache"), file.toString());
        return file;
    }

    private PoolOptions options(Durability durability, long cacheSize) {
        return PoolOptions.DEFAULT
                .withDurability(durability)
                .withHeldWritesDirectory(memory)
                .withWriteCacheSize(cacheSize);
    }

    private BlockPool open(Durability durability, long cacheSize) throws IOException {
        return BlockPool.open(path, options(durability, cacheSize));
    }

    private static void requireAll(BlockPool pool, byte[] content) throws IOException {
        for (int block = 0; block < WRITTEN; block++) {
            ByteBuffer target = ByteBuffer.allocate(BLOCK_SIZE);
            pool.read(block, target);
            assertArrayEquals(content, target.array(), "block " + block);
        }
    }

    private static byte[] written() {
        return KilledWriter.content(BLOCK_SIZE);
    }

    private void requireGivenUp() throws IOException {
        try (BlockPool pool = open(Durability.ON_FLUSH, LARGE)) {
            requireAll(pool, new byte[BLOCK_SIZE]);
        }
        assertEquals(List.of(), files());
        assertTrue(BlockPool.check(path, 0).isConsistent());
    }

    @ParameterizedTest
    @CsvSource({
        "1048576, ON_FLUSH, 1048576",
        "1048576, ON_FLUSH, 100000",
        "1048576, ON_FLUSH, 0",
        "1048576, EVERY_WRITE, 0",
        "100000, ON_FLUSH, 1048576",
        "100000, EVERY_WRITE, 0",
    })
    void cachedBlocksAreTakenOverAndTheirFileGoesWithTheLastUse(
            long cacheSize, Durability durability, long nextCacheSize) throws Exception {
        KilledWriter.run(path, WRITTEN, memory, cacheSize);
        assertEquals(2, files().size());

        try (BlockPool pool = open(durability, nextCacheSize)) {
            requireAll(pool, written());
            pool.flush();
            requireAll(pool, written());
        }

        assertEquals(List.of(), files());
        assertTrue(BlockPool.check(path, 0).isConsistent());
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            requireAll(pool, written());
        }
    }

    @Test
    void whoOnlyReadsSeesTheCachedBlocksAndLeavesThem() throws Exception {
        KilledWriter.run(path, WRITTEN, memory, SMALL);
        byte[] before = Files.readAllBytes(path);
        byte[] cached = Files.readAllBytes(cacheFile());

        try (BlockPool pool =
                BlockPool.open(path, options(Durability.ON_FLUSH, LARGE).withReadOnly(true))) {
            requireAll(pool, written());
        }

        assertArrayEquals(before, Files.readAllBytes(path));
        assertArrayEquals(cached, Files.readAllBytes(cacheFile()));
    }

    @Test
    void checkTellsOfThem() throws Exception {
        KilledWriter.run(path, WRITTEN, memory, LARGE);

        PoolCheck check = PoolCheck.run(path, options(Durability.ON_FLUSH, 0), Progress.NONE);

        assertTrue(check.isConsistent());
        assertEquals(
                "40 writes that a killed server replied to wait in "
                        + memory
                        + " to be taken over; serve the pool before another program opens it, and"
                        + " before a reboot",
                check.notes().getLast());
    }

    @Test
    void aPoolThatAnotherProgramChangedIsRefusedUntilTheFileIsRemoved() throws Exception {
        KilledWriter.run(path, WRITTEN, memory, LARGE);
        // Where libpmemblk keeps an address while it has the pool open.
        try (FileChannel pool = FileChannel.open(path, StandardOpenOption.WRITE)) {
            pool.write(ByteBuffer.allocate(8), PoolDescriptor.OFFSET + PoolDescriptor.SCRATCH);
        }

        PoolChangedException e =
                assertThrows(
                        PoolChangedException.class, () -> open(Durability.ON_FLUSH, LARGE).close());

        assertTrue(
                String.valueOf(e.getMessage()).contains(cacheFile() + " holds writes of before"),
                e.getMessage());
        Files.delete(cacheFile());
        requireGivenUp();
    }

    @Test
    void afterARebootThePoolAloneIsTheTruth() throws Exception {
        KilledWriter.run(path, WRITTEN, memory, LARGE);
        // The id of the boot.
        try (FileChannel file = FileChannel.open(files().getFirst(), StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(16).putLong(0, 42), 24);
        }

        requireGivenUp();
    }

    @Test
    void aFileThatWasNotFinishedIsReplaced() throws Exception {
        KilledWriter.run(path, WRITTEN, memory, LARGE);
        try (FileChannel file = FileChannel.open(cacheFile(), StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(8), 0);
        }

        requireGivenUp();
    }

    @Test
    void aFileThatNamesABlockThatThereIsNotIsRefused() throws Exception {
        KilledWriter.run(path, WRITTEN, memory, LARGE);
        // The record of the first slot.
        try (FileChannel file = FileChannel.open(cacheFile(), StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(8).put(5, (byte) 1), 4096 + 16);
        }

        CorruptPoolException e =
                assertThrows(
                        CorruptPoolException.class, () -> open(Durability.ON_FLUSH, LARGE).close());

        assertTrue(
                String.valueOf(e.getMessage())
                        .contains("the write cache has block 1099511627775, the table has "),
                e.getMessage());
        assertEquals(2, files().size());
    }

    @Test
    void aFileOfAnotherUserIsNotBelieved() throws Exception {
        KilledWriter.run(path, WRITTEN, memory, LARGE);
        Files.setAttribute(cacheFile(), "unix:uid", 12345);

        PoolChangedException e =
                assertThrows(
                        PoolChangedException.class, () -> open(Durability.ON_FLUSH, LARGE).close());

        assertTrue(String.valueOf(e.getMessage()).contains("is not a file of this user"));
    }

    @Test
    void aPoolWithHolesHasNoCacheAsAWriteMayFindNoPlace() throws Exception {
        path = folder.resolve("sparse.pool");
        try (FileChannel file =
                FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(1), (20 << 20) - 1);
        }
        BlockPool.create(path, BLOCK_SIZE, 0, 0600).close();

        try (BlockPool pool = open(Durability.ON_FLUSH, LARGE)) {
            assertEquals(1, files().size());
            assertFalse(pool.writeBytesNow(0, ByteBuffer.allocateDirect(BLOCK_SIZE)));
        }
    }

    @Test
    void theMemoryOfAnIdleCacheIsGivenBack() throws Exception {
        try (BlockPool pool = open(Durability.ON_FLUSH, 4 * LARGE)) {
            // Pages at the edges of what is given back stay.
            long most = allocated() + 2 * 4096;
            pool.writeBytes(0, ByteBuffer.allocate(2 << 20));
            assertTrue(allocated() > most + (1 << 20));

            pool.flush();
            pool.table().flushIfDue(1);
            assertTrue(allocated() <= most);
            pool.writeBytes(0, ByteBuffer.allocate(2 << 20));
        }
    }

    /** Bytes of memory that the cache takes. */
    private long allocated() throws IOException {
        Process stat = new ProcessBuilder("stat", "--format=%b", cacheFile().toString()).start();
        String sectors = new String(stat.getInputStream().readAllBytes(), UTF_8);
        return 512 * Long.parseLong(sectors.strip());
    }

    /**
     * What could never be brought to the table is not acknowledged, and fails no flush of others.
     */
    @Test
    void aBlockWhoseMapEntryIsDamagedFailsAlone() throws Exception {
        long map = 8192 + mapOffset();
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.seek(map + 5 * Integer.BYTES);
            file.writeInt(Integer.reverseBytes(0xc7ffffff));
        }
        try (BlockPool pool = open(Durability.ON_FLUSH, LARGE)) {
            for (int round = 0; round < 2; round++) {
                IOException refused =
                        assertThrows(
                                IOException.class, () -> pool.write(5, ByteBuffer.wrap(written())));
                assertTrue(String.valueOf(refused.getMessage()).contains("block 5 names"));
                assertThrows(
                        IOException.class,
                        () -> pool.writeBytesNow(5 * BLOCK_SIZE, ByteBuffer.wrap(written())));
                assertTrue(pool.writeBytesNow(6 * BLOCK_SIZE, ByteBuffer.wrap(written())));
                pool.flush();
            }
        }
    }

    private long mapOffset() throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "r")) {
            file.seek(8192 + 96);
            return Long.reverseBytes(file.readLong());
        }
    }
}
