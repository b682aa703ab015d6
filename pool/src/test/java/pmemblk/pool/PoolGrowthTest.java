package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A pool that grew is the pool that it was, with more blocks; one that did not is as it was. */
class PoolGrowthTest {
    private static final long SMALL = 20 << 20;
    private static final long LARGE = 40 << 20;

    /** One arena of 512 GiB and one of 64 MiB. */
    private static final long TWO_ARENAS = (1L << 39) + 8192 + (64 << 20);

    @TempDir private Path folder;

    @TempDir(factory = InMemory.class)
    private Path heldWrites;

    private Path pool;

    @BeforeEach
    void namePool() {
        pool = folder.resolve("disk.pool");
    }

    private Path leftOver() {
        return folder.resolve(".disk.pool.growing");
    }

    private static void grow(Path path, long size) throws IOException {
        PoolGrowth.grow(path, size, PoolOptions.DEFAULT, Progress.NONE);
    }

    private static BlockPool open(Path path) throws IOException {
        return BlockPool.open(path, PoolOptions.DEFAULT);
    }

    /** What each block reads as; empty where it is in the error state. */
    private static Map<Long, byte[]> contents(Path path) throws IOException {
        Map<Long, byte[]> contents = new TreeMap<>();
        try (BlockPool open = BlockPool.open(path, PoolOptions.DEFAULT.withReadOnly(true))) {
            for (long block = 0; block < open.blockCount(); block++) {
                ByteBuffer bytes = ByteBuffer.allocate(open.blockSize());
                try {
                    open.read(block, bytes);
                    contents.put(block, bytes.array());
                } catch (BlockErrorException e) {
                    contents.put(block, new byte[0]);
                }
            }
        }
        return contents;
    }

    /** Fills a pool with data, zeroed blocks, blocks in error and untouched ones. */
    private static void fill(BlockPool open, long blockCount) throws IOException {
        SplittableRandom random = new SplittableRandom(open.blockSize());
        byte[] bytes = new byte[open.blockSize()];
        for (long block = 0; block < blockCount; block++) {
            random.nextBytes(bytes);
            switch (random.nextInt(6)) {
                case 0, 1 -> open.write(block, ByteBuffer.wrap(bytes));
                case 2 -> {
                    open.write(block, ByteBuffer.wrap(bytes));
                    open.setZero(block);
                }
                case 3 -> open.setError(block);
                default -> {}
            }
        }
    }

    private void createFilled(int blockSize, long size) throws IOException {
        BlockPool.create(pool, blockSize, size, 0640).close();
        PoolOptions options =
                PoolOptions.DEFAULT
                        .withDurability(Durability.ON_FLUSH)
                        .withHeldWritesDirectory(heldWrites);
        try (BlockPool open = BlockPool.open(pool, options)) {
            fill(open, Math.min(1000, open.blockCount() - 10));
            byte[] last = new byte[blockSize];
            last[0] = 1;
            open.write(open.blockCount() - 1, ByteBuffer.wrap(last));
        }
    }

    /** The pool holds what it held, and its new blocks are zero. */
    private static void requireHolds(Map<Long, byte[]> before, Path path) throws Exception {
        Map<Long, byte[]> after = contents(path);
        assertTrue(after.size() > before.size());
        for (Map.Entry<Long, byte[]> block : after.entrySet()) {
            byte[] expected =
                    before.getOrDefault(block.getKey(), new byte[block.getValue().length]);
            assertArrayEquals(expected, block.getValue(), "block " + block.getKey());
        }
        assertEquals(List.of(), BlockPool.check(path, 0).damage());
        assertEquals(1, LibPmemblk.check(path));
        assertNull(LibPmemblk.pmempoolComplaint(path));
    }

    private void requireNothingElse(Path... files) throws IOException {
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(Stream.of(files).sorted().toList(), left.sorted().toList());
        }
    }

    @ParameterizedTest
    @CsvSource({"10", "512", "520", "4096", "24000"})
    void everyBlockKeepsItsBytesOrItsError(int blockSize) throws Exception {
        createFilled(blockSize, SMALL);
        Map<Long, byte[]> before = contents(pool);

        grow(pool, LARGE);

        assertEquals(LARGE, Files.size(pool));
        requireHolds(before, pool);
        requireNothingElse(pool);
        long blockCount = info().blockCount();
        try (LibPmemblk real = LibPmemblk.open(pool, blockSize)) {
            assertEquals(blockCount, real.blockCount());
            assertEquals(1, real.read(before.size() - 1)[0]);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "mix-4096.pool.gz",
                "killed-512.pool.gz",
                "interrupted-4096.pool.gz",
                "nfree64-4096.pool.gz",
                "blank-512.pool.gz",
                "ragged-512.pool.gz"
            })
    void aPoolOfTheLibraryGrows(String golden) throws Exception {
        pool = Golden.unpack(Golden.named(golden), folder);
        Map<Long, byte[]> before = contents(pool);

        grow(pool, 4 * LARGE);

        requireHolds(before, pool);
        requireNothingElse(pool);
    }

    @Test
    void aPoolGrowsOnTmpfs() throws Exception {
        pool = heldWrites.resolve("disk.pool");
        createFilled(4096, SMALL);
        Map<Long, byte[]> before = contents(pool);

        grow(pool, LARGE);

        requireHolds(before, pool);
    }

    @Test
    void ownerModeAndUuidStay() throws Exception {
        createFilled(4096, SMALL);
        Files.setAttribute(pool, "unix:uid", 12);
        Files.setAttribute(pool, "unix:gid", 34);
        Files.setPosixFilePermissions(pool, PosixFilePermissions.fromString("rw-r--r--"));
        PoolInfo before = info();

        grow(pool, LARGE);

        assertEquals(12, Files.getAttribute(pool, "unix:uid"));
        assertEquals(34, Files.getAttribute(pool, "unix:gid"));
        assertEquals(
                "rw-r--r--", PosixFilePermissions.toString(Files.getPosixFilePermissions(pool)));
        assertEquals(before.uuid(), info().uuid());
        assertEquals(4096, info().blockSize());
    }

    private PoolInfo info() throws IOException {
        try (BlockPool open = BlockPool.open(pool, PoolOptions.DEFAULT.withReadOnly(true))) {
            return open.info();
        }
    }

    @Test
    void aSymbolicLinkStaysAndItsPoolGrows() throws Exception {
        createFilled(4096, SMALL);
        Path link = Files.createSymbolicLink(folder.resolve("link"), pool);

        grow(link, LARGE);

        assertTrue(Files.isSymbolicLink(link));
        assertEquals(LARGE, Files.size(pool));
        requireNothingElse(pool, link);
    }

    @Test
    void aSparsePoolStaysSparseAndGetsAnotherArena() throws Exception {
        try (RandomAccessFile file = new RandomAccessFile(pool.toFile(), "rw")) {
            file.setLength(TWO_ARENAS / 2);
        }
        BlockPool.create(pool, 65536, 0, 0600).close();
        byte[] bytes = KilledWriter.content(65536);
        long last;
        try (BlockPool open = open(pool)) {
            last = open.blockCount() - 1;
            open.write(0, ByteBuffer.wrap(bytes));
            open.write(last, ByteBuffer.wrap(bytes));
        }

        grow(pool, TWO_ARENAS);
        try (BlockPool open = open(pool)) {
            assertEquals(2, open.info().arenaCount());
            ByteBuffer block = ByteBuffer.allocate(65536);
            open.read(last, block);
            assertArrayEquals(bytes, block.array());
            open.write(open.blockCount() - 1, ByteBuffer.wrap(bytes));
        }
        grow(pool, TWO_ARENAS + (64 << 20));

        try (BlockPool open = open(pool)) {
            assertEquals(2, open.info().arenaCount());
            ByteBuffer block = ByteBuffer.allocate(65536);
            // The last block of the smaller pool lies in its second arena.
            open.read(8_388_605, block);
            assertArrayEquals(bytes, block.array());
        }
        assertNull(LibPmemblk.pmempoolComplaint(pool));
    }

    @ParameterizedTest
    @CsvSource({"0, EVERY_WRITE", "0, ON_FLUSH", "1048576, EVERY_WRITE", "1048576, ON_FLUSH"})
    void writesThatAKilledServerHeldAreTakenOverFirst(long cacheSize, Durability durability)
            throws Exception {
        BlockPool.create(pool, 4096, SMALL, 0600).close();
        KilledWriter.run(pool, 5, heldWrites, cacheSize);

        PoolGrowth.grow(
                pool,
                LARGE,
                PoolOptions.DEFAULT
                        .withHeldWritesDirectory(heldWrites)
                        .withDurability(durability)
                        .withWriteCacheSize(cacheSize),
                Progress.NONE);

        Map<Long, byte[]> after = contents(pool);
        for (long block = 0; block < 5; block++) {
            assertArrayEquals(KilledWriter.content(4096), after.get(block));
        }
        try (Stream<Path> left = Files.list(heldWrites)) {
            assertEquals(List.of(), left.toList());
        }
        assertNull(LibPmemblk.pmempoolComplaint(pool));
    }

    @Test
    void progressEndsWithAllBlocks() throws Exception {
        createFilled(4096, SMALL);
        long byteSize = info().blockCount() * 4096;
        AtomicLong done = new AtomicLong();

        PoolGrowth.grow(
                pool,
                LARGE,
                PoolOptions.DEFAULT,
                (byteCount, total) -> {
                    assertEquals(byteSize, total);
                    done.addAndGet(byteCount);
                });

        assertEquals(byteSize, done.get());
    }

    // Refusals and failures.

    /** The growth fails with that, and leaves the pool and nothing else. */
    private <E extends Exception> E requireRefused(Class<E> refusal, long size) throws IOException {
        byte[] before = Files.readAllBytes(pool);
        List<Path> files;
        try (Stream<Path> left = Files.list(folder)) {
            files = left.toList();
        }

        E refused = assertThrows(refusal, () -> grow(pool, size));

        assertArrayEquals(before, Files.readAllBytes(pool));
        requireNothingElse(files.toArray(Path[]::new));
        return refused;
    }

    private static void requireSays(Exception refused, String... words) {
        for (String word : words) {
            assertTrue(String.valueOf(refused.getMessage()).contains(word), refused.getMessage());
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {16_785_408, SMALL - 4096, SMALL, SMALL + 4095})
    void aSizeThatGivesNoMoreBlocksIsRefused(long size) throws IOException {
        createFilled(4096, SMALL);

        requireSays(
                requireRefused(GrowthRefusedException.class, size),
                pool + " has 4850 blocks",
                "choose a larger size");
    }

    @Test
    void aSizeThatIsNoPoolsIsRefused() throws IOException {
        createFilled(4096, SMALL);

        requireRefused(PoolTooSmallException.class, 1 << 20);
        // What is left for a second arena holds too few blocks of that size.
        createLargeBlocks();
        requireRefused(PoolTooSmallException.class, (1L << 39) + 8192 + (20 << 20));
    }

    private void createLargeBlocks() throws IOException {
        Files.delete(pool);
        BlockPool.create(pool, 65536, 64 << 20, 0600).close();
    }

    @Test
    void aFullDiskLeavesThePoolAndNothingElse() throws IOException {
        createFilled(4096, SMALL);

        requireSays(
                requireRefused(PoolFileException.class, 1L << 43),
                "there has to be room for the new pool beside the old one");
    }

    @Test
    void aFailureDuringTheCopyLeavesThePoolAndNothingElse() throws IOException {
        createFilled(4096, SMALL);
        byte[] before = Files.readAllBytes(pool);

        assertThrows(
                IllegalStateException.class,
                () ->
                        PoolGrowth.grow(
                                pool,
                                LARGE,
                                PoolOptions.DEFAULT,
                                (byteCount, total) -> {
                                    throw new IllegalStateException("stop");
                                }));

        assertArrayEquals(before, Files.readAllBytes(pool));
        requireNothingElse(pool);
        grow(pool, LARGE);
    }

    @Test
    void aPoolSetIsRefused() throws IOException {
        pool = Golden.unpack(Golden.named("set-part1.pool.gz set-part2.pool.gz"), folder);

        requireSays(requireRefused(GrowthRefusedException.class, LARGE), "is a pool set");
    }

    @Test
    void anotherNameOfTheFileIsSaid() throws IOException {
        createFilled(4096, SMALL);
        Files.createLink(folder.resolve("other.pool"), pool);

        requireSays(requireRefused(GrowthRefusedException.class, LARGE), "another name");
    }

    @ParameterizedTest
    @CsvSource({
        "dup-map-512.pool.gz, which has another owner",
        "bad-info-512.pool.gz, primary info block",
        "bad-header-512.pool.gz, pool header",
    })
    void aDamagedPoolIsToBeRepairedFirst(String golden, String damage) throws IOException {
        pool = Golden.unpack(Golden.named(golden), folder);

        requireSays(
                requireRefused(CorruptPoolException.class, LARGE),
                damage,
                "check and repair it before it grows");
    }

    @ParameterizedTest
    @CsvSource({
        "arena-error-512.pool.gz, its error flag is set",
        "rocompat-512.pool.gz, features that are not known here"
    })
    void aPoolThatTakesNoChangesIsRefused(String golden, String reason) throws IOException {
        pool = Golden.unpack(Golden.named(golden), folder);

        requireSays(requireRefused(GrowthRefusedException.class, LARGE), reason);
    }

    @Test
    void aPoolInUseIsLeftAlone() throws IOException {
        createFilled(4096, SMALL);
        try (BlockPool open = open(pool)) {
            assertThrows(PoolInUseException.class, () -> grow(pool, LARGE));
            assertEquals(4850, open.blockCount());
        }
        requireNothingElse(pool);
    }

    @Test
    void whatIsNotThereIsSaid() {
        assertThrows(PoolNotFoundException.class, () -> grow(pool, LARGE));
    }

    // What an earlier growth left behind.

    @ParameterizedTest
    @ValueSource(longs = {0, 100, LARGE})
    void aCopyThatWasNotFinishedIsRemoved(long size) throws Exception {
        createFilled(4096, SMALL);
        try (RandomAccessFile file = new RandomAccessFile(leftOver().toFile(), "rw")) {
            file.setLength(size);
        }

        grow(pool, LARGE);

        assertEquals(LARGE, Files.size(pool));
        requireNothingElse(pool);
    }

    @Test
    void aCopyThatWasFinishedAndDidNotGetTheNameIsRemoved() throws Exception {
        createFilled(4096, SMALL);
        Path old = Files.copy(pool, heldWrites.resolve("old.pool"));
        grow(pool, LARGE);
        Files.move(pool, leftOver());
        Files.copy(old, pool);
        Map<Long, byte[]> before = contents(pool);

        grow(pool, LARGE);

        requireHolds(before, pool);
        requireNothingElse(pool);
    }

    @Test
    void whatElseHasTheNameOfACopyStays() throws IOException {
        createFilled(4096, SMALL);
        Files.writeString(leftOver(), "precious");
        requireSays(requireRefused(GrowthRefusedException.class, LARGE), "is in the way");
        assertEquals("precious", Files.readString(leftOver()));

        Files.delete(leftOver());
        Files.createDirectory(leftOver());
        requireRefused(GrowthRefusedException.class, LARGE);
        assertTrue(Files.isDirectory(leftOver()));
    }
}
