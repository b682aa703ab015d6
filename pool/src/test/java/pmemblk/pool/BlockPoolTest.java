package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What libpmemblk and its Python binding promise of pools and their blocks. */
class BlockPoolTest {
    private static final int MIB = 1 << 20;

    @TempDir private Path folder;

    @TempDir(factory = InMemory.class)
    private Path inMemory;

    private Path path() {
        return folder.resolve("disk.pool");
    }

    private BlockPool create(int blockSize, long size) throws IOException {
        return BlockPool.create(path(), blockSize, size, 0600);
    }

    private BlockPool open() throws IOException {
        return BlockPool.open(path(), PoolOptions.DEFAULT);
    }

    /**
     * Opens the pool so that writes are held, accounted for in a folder that goes with the test.
     */
    private BlockPool openHolding(Path path) throws IOException {
        PoolOptions options = PoolOptions.DEFAULT.withDurability(Durability.ON_FLUSH);
        return BlockPool.open(path, options.withHeldWritesDirectory(inMemory));
    }

    private static byte[] read(BlockPool pool, long block) throws IOException {
        ByteBuffer target = ByteBuffer.allocate(pool.blockSize());
        pool.read(block, target);
        return target.array();
    }

    private static byte[] filled(int size, int value) {
        byte[] bytes = new byte[size];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }

    private static void requireSays(Exception e, String... words) {
        for (String word : words) {
            assertTrue(String.valueOf(e.getMessage()).contains(word), e.getMessage());
        }
    }

    // Create.

    @ParameterizedTest
    @CsvSource({
        "4096, 20971520, 4850",
        "10, 20971520, 40315",
        "512, 16785408, 32202",
        "520, 16785408, 21439",
        "32512, 16785408, 259",
        "512, 16785409, 32202",
        "512, 33554432, 64700",
    })
    void aNewFileIsExactlyAsLargeAsAskedFor(int blockSize, long size, long blockCount)
            throws IOException {
        try (BlockPool pool = create(blockSize, size)) {
            assertEquals(blockSize, pool.blockSize());
            assertEquals(blockCount, pool.blockCount());
            assertEquals(size, Files.size(path()));
            assertArrayEquals(new byte[blockSize], read(pool, blockCount - 1));
        }
        assertTrue(BlockPool.check(path(), 0).isConsistent());
        assertTrue(BlockPool.check(path(), blockSize).isConsistent());
        assertThrows(BlockSizeException.class, () -> BlockPool.check(path(), blockSize * 2));
    }

    @ParameterizedTest
    @CsvSource({"0600, rw-------", "0666, rw-rw-rw-", "0444, r--r--r--", "0, ---------"})
    void theModeIsTheOneAskedForWhateverTheUmask(String mode, String permissions)
            throws IOException {
        BlockPool.create(path(), 512, 20 * MIB, Integer.parseInt(mode, 8)).close();

        assertEquals(
                permissions, PosixFilePermissions.toString(Files.getPosixFilePermissions(path())));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1, Integer.MIN_VALUE})
    void aBlockNeedsBytes(int blockSize) {
        requireSays(
                assertThrows(BlockSizeException.class, () -> create(blockSize, 20 * MIB)),
                "block size " + blockSize);
        assertFalse(Files.exists(path()));
    }

    @ParameterizedTest
    @CsvSource({"512, 1048576", "512, 16785407", "65536, 20971520", "32513, 16785408", "512, 1"})
    void aPoolTooSmallLeavesNoFile(int blockSize, long size) {
        requireSays(
                assertThrows(PoolTooSmallException.class, () -> create(blockSize, size)),
                path().toString(),
                "too small");
        assertFalse(Files.exists(path()));
    }

    @Test
    void whatExistsIsLeftAlone() throws IOException {
        Files.writeString(path(), "precious");

        requireSays(
                assertThrows(PoolExistsException.class, () -> create(512, 20 * MIB)),
                path().toString(),
                "exists");
        assertEquals("precious", Files.readString(path()));
    }

    @Test
    void aDirectoryThatIsNotThereIsSaid() {
        assertThrows(
                PoolNotFoundException.class,
                () -> BlockPool.create(folder.resolve("no/disk.pool"), 512, 20 * MIB, 0600));
    }

    @Test
    void aFullDiskLeavesNoFile() {
        PoolException e = assertThrows(PoolException.class, () -> create(512, 1L << 50));

        requireSays(e, path().toString());
        assertFalse(Files.exists(path()));
    }

    @Test
    void aFilePreparedWithZeroesIsTakenWhateverLiesBehind() throws IOException {
        byte[] prepared = filled(17 * MIB, 0xa5);
        Arrays.fill(prepared, 0, 8192, (byte) 0);
        Files.write(path(), prepared);

        try (BlockPool pool = create(4096, 0)) {
            assertEquals(4082, pool.blockCount());
            for (long block = 0; block < pool.blockCount(); block += 100) {
                assertArrayEquals(new byte[4096], read(pool, block));
            }
        }
        assertTrue(BlockPool.check(path(), 0).isConsistent());
        requireSays(
                assertThrows(PoolExistsException.class, () -> create(4096, 0)),
                "does not begin with 4096 zero bytes");
    }

    @Test
    void aPreparedFileHasToBeThereAndLargeEnough() throws IOException {
        assertThrows(PoolNotFoundException.class, () -> create(512, 0));
        Files.createFile(path());
        assertThrows(PoolTooSmallException.class, () -> create(512, 0));
        assertTrue(Files.exists(path()));
    }

    // Open and check.

    @Test
    void aMissingFileIsSaid() {
        requireSays(
                assertThrows(PoolNotFoundException.class, this::open),
                path().toString(),
                "does not exist");
        assertThrows(PoolNotFoundException.class, () -> BlockPool.check(path(), 0));
    }

    @Test
    void aDirectoryIsNoPool() {
        requireSays(
                assertThrows(
                        PoolFileException.class, () -> BlockPool.open(folder, PoolOptions.DEFAULT)),
                "directory");
    }

    @ParameterizedTest
    @CsvSource({"0, too few", "1048576, too few", "20971520, all zeroes"})
    void aFileWithoutAPoolIsRefused(long size, String reason) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path().toFile(), "rw")) {
            file.setLength(size);
        }
        requireSays(assertThrows(CorruptPoolException.class, this::open), reason);
        assertFalse(BlockPool.check(path(), 0).isConsistent());
    }

    @Test
    void garbageIsRefused() throws IOException {
        Files.write(path(), filled(20 * MIB, 0x5a));

        requireSays(assertThrows(CorruptPoolException.class, this::open), "signature");
    }

    @ParameterizedTest
    @ValueSource(longs = {MIB, 4 * MIB, 16 * MIB + 8192, 19 * MIB})
    void aPoolCutShortIsRefused(long size) throws IOException {
        create(512, 20 * MIB).close();
        try (RandomAccessFile file = new RandomAccessFile(path().toFile(), "rw")) {
            file.setLength(size);
        }

        assertThrows(CorruptPoolException.class, this::open);
        assertFalse(BlockPool.check(path(), 0).isConsistent());
    }

    /** What the JVM throws there is an Error; the file must not stay locked for that. */
    @Test
    void aHoleThatAFullMemoryCannotFillIsToldAndNothingStaysOpen() throws Exception {
        withSmallMemory(
                mount -> {
                    Path file = mount.resolve("disk.pool");
                    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
                        sparse.setLength(20 * MIB);
                    }
                    for (int i = 0; i < 2; i++) {
                        requireSays(
                                assertThrows(
                                        PoolFileException.class,
                                        () -> BlockPool.create(file, 512, 0, 0600)),
                                "a page cannot be had");
                    }
                });
    }

    @Test
    void aPoolWhoseHeldWritesHaveNoRoomIsRefusedAndLeftAlone() throws Exception {
        create(4096, 20 * MIB).close();
        byte[] before = Files.readAllBytes(path());
        withSmallMemory(
                mount -> {
                    PoolOptions options =
                            PoolOptions.DEFAULT
                                    .withDurability(Durability.ON_FLUSH)
                                    .withHeldWritesDirectory(mount);
                    requireSays(
                            assertThrows(
                                    PoolFileException.class, () -> BlockPool.open(path(), options)),
                            "no room for an account of held writes",
                            "make room there");
                    try (Stream<Path> left = Files.list(mount)) {
                        assertEquals(List.of(), left.toList());
                    }
                });
        assertArrayEquals(before, Files.readAllBytes(path()));
        open().close();
    }

    private interface Use {
        void of(Path mount) throws Exception;
    }

    /** Uses a tmpfs with room for 64 KiB. */
    private void withSmallMemory(Use use) throws Exception {
        assumeTrue("root".equals(System.getProperty("user.name")), "only root may mount");
        Path mount = Files.createDirectory(folder.resolve("full"));
        run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount.toString());
        try {
            use.of(mount);
        } finally {
            run("umount", "--lazy", mount.toString());
        }
    }

    private static void run(String... command) throws Exception {
        assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor());
    }

    @Test
    void anotherBlockSizeIsRefusedAndNoneTakesAny() throws IOException {
        create(300, 20 * MIB).close();

        requireSays(
                assertThrows(
                        BlockSizeException.class,
                        () -> BlockPool.open(path(), PoolOptions.DEFAULT.withBlockSize(512))),
                "300",
                "512");
        BlockPool.open(path(), PoolOptions.DEFAULT.withBlockSize(300)).close();
        open().close();
    }

    @Test
    void versionsAreThoseOfTheLibrary() {
        BlockPool.checkVersion(1, 0);
        BlockPool.checkVersion(1, 1);
        requireSays(
                assertThrows(IllegalArgumentException.class, () -> BlockPool.checkVersion(1, 2)),
                "minor version mismatch (need 2, found 1)");
        requireSays(
                assertThrows(IllegalArgumentException.class, () -> BlockPool.checkVersion(2, 0)),
                "major version mismatch (need 2, found 1)");
    }

    // Blocks.

    @Test
    void blockNumbersBeyondThePoolAreRefused() throws IOException {
        try (BlockPool pool = create(512, 20 * MIB)) {
            long end = pool.blockCount();
            ByteBuffer block = ByteBuffer.allocate(512);
            for (long bad : new long[] {-1, end, Long.MAX_VALUE, Long.MIN_VALUE}) {
                assertThrows(IndexOutOfBoundsException.class, () -> pool.read(bad, block));
                assertThrows(IndexOutOfBoundsException.class, () -> pool.write(bad, block));
                assertThrows(IndexOutOfBoundsException.class, () -> pool.setZero(bad));
                assertThrows(IndexOutOfBoundsException.class, () -> pool.setError(bad));
            }
            pool.read(end - 1, block);
        }
    }

    @Test
    void blocksGoFromStateToStateAsInTheLibrary() throws IOException {
        try (BlockPool pool = create(512, 20 * MIB)) {
            pool.setError(1);
            assertEquals(1, assertThrows(BlockErrorException.class, () -> read(pool, 1)).block());
            pool.setError(2);
            pool.write(2, ByteBuffer.wrap(filled(512, 2)));
            assertArrayEquals(filled(512, 2), read(pool, 2));
            pool.setZero(3);
            pool.setError(3);
            assertThrows(BlockErrorException.class, () -> read(pool, 3));
            pool.setError(4);
            pool.setZero(4);
            assertArrayEquals(new byte[512], read(pool, 4));
            pool.write(5, ByteBuffer.wrap(filled(512, 5)));
            pool.setError(5);
            pool.setZero(5);
            assertArrayEquals(new byte[512], read(pool, 5));
            pool.write(6, ByteBuffer.wrap(filled(512, 6)));
            pool.setZero(6);
            pool.setError(6);
        }
        try (BlockPool pool = open()) {
            for (long error : new long[] {1, 3, 6}) {
                BlockErrorException e =
                        assertThrows(BlockErrorException.class, () -> read(pool, error));
                requireSays(e, path().toString(), "block " + error);
            }
            assertArrayEquals(filled(512, 2), read(pool, 2));
            assertArrayEquals(new byte[512], read(pool, 5));
        }
        assertTrue(BlockPool.check(path(), 0).isConsistent());
    }

    @Test
    void shorterDataIsPaddedWithZeroesAndLongerDataRefused() throws IOException {
        try (BlockPool pool = create(512, 20 * MIB)) {
            pool.write(0, ByteBuffer.wrap(filled(512, 9)));
            pool.write(0, ByteBuffer.wrap(filled(384, 1)));
            assertArrayEquals(Arrays.copyOf(filled(384, 1), 512), read(pool, 0));
            assertThrows(
                    IllegalArgumentException.class, () -> pool.write(0, ByteBuffer.allocate(513)));
            assertThrows(
                    IllegalArgumentException.class, () -> pool.read(0, ByteBuffer.allocate(511)));
        }
    }

    @Test
    void closingTwiceIsHarmlessAndUseAfterwardsIsSaid() throws IOException {
        BlockPool pool = create(512, 20 * MIB);
        pool.close();
        pool.close();

        assertThrows(IllegalStateException.class, () -> read(pool, 0));
        assertThrows(IllegalStateException.class, () -> pool.setZero(0));
        assertThrows(IllegalStateException.class, pool::flush);
    }

    // Ranges of bytes.

    @ParameterizedTest
    @CsvSource({
        "10, EVERY_WRITE",
        "512, ON_FLUSH",
        "520, ON_FLUSH",
        "4096, ON_FLUSH",
        "4096, EVERY_WRITE",
    })
    void rangesBehaveLikeAnArray(int blockSize, Durability durability) throws IOException {
        Path shared = Files.createTempDirectory(Path.of("/dev/shm"), "pmemblk-test");
        create(blockSize, 20 * MIB).close();
        SplittableRandom random = new SplittableRandom(blockSize);
        int size = 40 * blockSize;
        byte[] model = new byte[size];
        try (BlockPool pool =
                BlockPool.open(
                        path(),
                        PoolOptions.DEFAULT
                                .withDurability(durability)
                                .withHeldWritesDirectory(shared))) {
            long base = pool.byteSize() - size;
            int rounds = durability == Durability.ON_FLUSH ? 4000 : 300;
            for (int i = 0; i < rounds; i++) {
                step(pool, base, model, random);
            }
            byte[] all = new byte[size];
            pool.readBytes(base, ByteBuffer.wrap(all));
            assertArrayEquals(model, all);
        }
        try (BlockPool pool = open()) {
            byte[] all = new byte[size];
            pool.readBytes(pool.byteSize() - size, ByteBuffer.wrap(all));
            assertArrayEquals(model, all);
        }
        assertTrue(BlockPool.check(path(), 0).isConsistent());
        Files.delete(shared);
    }

    private static void step(BlockPool pool, long base, byte[] model, SplittableRandom random)
            throws IOException {
        int offset = random.nextInt(model.length + 1);
        int length = random.nextInt(Math.min(model.length - offset, 5 * pool.blockSize()) + 1);
        switch (random.nextInt(5)) {
            case 0 -> {
                byte[] bytes = new byte[length];
                random.nextBytes(bytes);
                ByteBuffer source =
                        random.nextBoolean()
                                ? ByteBuffer.wrap(bytes)
                                : ByteBuffer.allocateDirect(length)
                                        .put(bytes)
                                        .flip()
                                        .asReadOnlyBuffer();
                pool.writeBytes(base + offset, source);
                assertFalse(source.hasRemaining());
                System.arraycopy(bytes, 0, model, offset, length);
            }
            case 1 -> {
                pool.zeroBytes(base + offset, length);
                Arrays.fill(model, offset, offset + length, (byte) 0);
            }
            case 2 -> {
                pool.trimBytes(base + offset, length);
                int first = Math.ceilDiv(offset, pool.blockSize()) * pool.blockSize();
                int end = (offset + length) / pool.blockSize() * pool.blockSize();
                Arrays.fill(model, Math.min(first, end), Math.max(first, end), (byte) 0);
                if (first > end) {
                    pool.readBytes(base + end, ByteBuffer.wrap(model, end, first - end));
                }
            }
            case 3 -> pool.flush();
            default -> {
                byte[] bytes = new byte[length];
                pool.readBytes(base + offset, ByteBuffer.wrap(bytes));
                assertArrayEquals(Arrays.copyOfRange(model, offset, offset + length), bytes);
            }
        }
    }

    @Test
    void rangesBeyondTheEndAreRefused() throws IOException {
        try (BlockPool pool = create(512, 20 * MIB)) {
            long end = pool.byteSize();
            ByteBuffer two = ByteBuffer.allocate(2);
            assertThrows(IndexOutOfBoundsException.class, () -> pool.readBytes(end - 1, two));
            assertThrows(IndexOutOfBoundsException.class, () -> pool.writeBytes(-1, two));
            assertThrows(IndexOutOfBoundsException.class, () -> pool.zeroBytes(1, Long.MAX_VALUE));
            assertThrows(IndexOutOfBoundsException.class, () -> pool.trimBytes(0, -1));
            pool.readBytes(end, ByteBuffer.allocate(0));
        }
    }

    @Test
    void anErrorBlockInARangeIsNamedAndAPartOfItCannotBeWritten() throws IOException {
        try (BlockPool pool = create(512, 20 * MIB)) {
            pool.setError(2);
            ByteBuffer four = ByteBuffer.allocate(4 * 512);
            assertEquals(
                    2,
                    assertThrows(BlockErrorException.class, () -> pool.readBytes(0, four)).block());
            assertThrows(
                    BlockErrorException.class,
                    () -> pool.writeBytes(2 * 512 + 1, ByteBuffer.allocate(1)));
            assertThrows(BlockErrorException.class, () -> pool.zeroBytes(2 * 512 + 1, 1));
            pool.writeBytes(512, ByteBuffer.allocate(3 * 512));
            pool.readBytes(0, four.clear());
        }
    }

    // Media.

    @Test
    void tmpfsSaysThatItIsVolatile() throws IOException {
        Path shared = Files.createTempDirectory(Path.of("/dev/shm"), "pmemblk-test");
        Path path = shared.resolve("disk.pool");
        try (BlockPool pool = BlockPool.create(path, 4096, 20 * MIB, 0600)) {
            assertEquals("tmpfs (volatile memory)", pool.info().medium());
            assertEquals("nothing", pool.info().afterPowerCut());
            assertFalse(pool.mayBlock());
            pool.writeBytes(1, ByteBuffer.wrap(filled(5000, 3)));
        }
        assertTrue(BlockPool.check(path, 0).isConsistent());
        Files.delete(path);
        Files.delete(shared);
    }

    @ParameterizedTest
    @CsvSource({"true, true", "true, false", "false, true", "false, false"})
    void aFileDeletedOrReplacedUnderAnOpenPoolTakesNoMoreChangesAndCanBeRead(
            boolean onDisk, boolean replaced) throws IOException {
        Path path = (onDisk ? folder : inMemory).resolve("disk.pool");
        BlockPool.create(path, 4096, 20 * MIB, 0600).close();
        BlockPool pool = openHolding(path);
        pool.write(7, ByteBuffer.wrap(filled(4096, 7)));
        if (replaced) {
            Path other = Files.createFile(path.resolveSibling("other.pool"));
            Files.move(other, path, StandardCopyOption.REPLACE_EXISTING);
        } else {
            Files.delete(path);
        }

        PoolFailedException first = assertThrows(PoolFailedException.class, pool::flush);
        requireSays(first, "deleted or replaced", "it can still be read");
        assertThrows(PoolFailedException.class, () -> pool.setZero(7));
        assertThrows(PoolFailedException.class, () -> pool.write(8, ByteBuffer.allocate(4096)));
        requireSays(new IOException(pool.failureReason()), "deleted or replaced");
        assertThrows(PoolFailedException.class, pool::flush);
        assertEquals(7, read(pool, 7)[0]);
        assertThrows(IOException.class, pool::close);
    }

    /** As by cp, which leaves name, size and inode as they are. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aFileOverwrittenByACopyUnderAnOpenPoolTakesNoMoreChanges(boolean onDisk)
            throws IOException {
        Path path = (onDisk ? folder : inMemory).resolve("disk.pool");
        BlockPool.create(path, 4096, 20 * MIB, 0600).close();
        byte[] copy = Files.readAllBytes(path);
        BlockPool pool = openHolding(path);
        pool.write(7, ByteBuffer.wrap(filled(4096, 7)));
        pool.flush();
        Files.write(path, copy);

        IOException first =
                assertThrows(
                        IOException.class,
                        () -> {
                            pool.write(8, ByteBuffer.wrap(filled(4096, 8)));
                            pool.flush();
                        });
        requireSays(first, "another program has written to the pool's file");
        assertThrows(PoolException.class, () -> pool.setZero(7));
        assertThrows(PoolException.class, () -> pool.write(8, ByteBuffer.allocate(4096)));
        requireSays(new IOException(pool.failureReason()), "another program");
        if (onDisk) {
            assertThrows(IOException.class, () -> read(pool, 7));
            assertThrows(IOException.class, pool::close);
        } else {
            pool.close();
        }
        assertTrue(BlockPool.check(path, 0).isConsistent());
        try (BlockPool restored = BlockPool.open(path, PoolOptions.DEFAULT)) {
            assertEquals(0, read(restored, 7)[0]);
        }
    }

    @Test
    void aFileCutShortUnderAnOpenPoolIsNotReadAsZeroesOnceThatIsKnown() throws IOException {
        create(4096, 20 * MIB).close();
        BlockPool pool = openHolding(path());
        pool.write(1, ByteBuffer.wrap(filled(4096, 1)));
        try (RandomAccessFile file = new RandomAccessFile(path().toFile(), "rw")) {
            file.setLength(MIB);
        }

        PoolFailedException first = assertThrows(PoolFailedException.class, pool::flush);
        requireSays(first, "cut short", "to 1048576 of 20971520 bytes");
        assertThrows(IOException.class, () -> read(pool, 1));
        assertThrows(IOException.class, pool::close);
    }

    @Test
    void aFileCutShortUnderAnOpenPoolFailsItsRequestsAndNotTheProcess() throws IOException {
        for (Path where : new Path[] {folder, Path.of("/dev/shm")}) {
            Path path = Files.createTempFile(where, "cut", ".pool");
            Files.delete(path);
            try {
                BlockPool pool = BlockPool.create(path, 4096, 20 * MIB, 0600);
                long last = pool.blockCount() - 1;
                pool.write(last, ByteBuffer.wrap(filled(4096, 1)));
                pool.write(last, ByteBuffer.wrap(filled(4096, 2)));
                try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
                    file.setLength(MIB);
                }
                assertThrows(IOException.class, () -> read(pool, last));
                if (where.equals(folder)) {
                    assertThrows(PoolFailedException.class, pool::close);
                } else {
                    pool.close();
                }
            } finally {
                Files.delete(path);
            }
        }
    }
}
