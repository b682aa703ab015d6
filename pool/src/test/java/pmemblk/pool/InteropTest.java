package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The real libpmemblk and this one, in turns on the same pools. */
class InteropTest {
    private static final long SIZE = 40 << 20;

    /** One arena of 512 GiB and one of 64 MiB. */
    private static final long TWO_ARENAS = (1L << 39) + 8192 + (64 << 20);

    @TempDir private Path folder;

    /** What a block holds in the round of this number; some are zeroed, some in error. */
    private static byte[] content(long block, int round, int blockSize) {
        byte[] bytes = new byte[blockSize];
        new SplittableRandom(block * 31 + round).nextBytes(bytes);
        return bytes;
    }

    private enum State {
        DATA,
        ZERO,
        ERROR,
        UNTOUCHED;

        static State of(long block, int round) {
            return values()[(int) ((block + round) % 11 % values().length)];
        }
    }

    private static long[] blocks(long blockCount) {
        return new SplittableRandom(5).longs(300, 0, blockCount).distinct().toArray();
    }

    private static void write(BlockPool pool, int round) throws IOException {
        for (long block : blocks(pool.blockCount())) {
            switch (State.of(block, round)) {
                case DATA ->
                        pool.write(block, ByteBuffer.wrap(content(block, round, pool.blockSize())));
                case ZERO -> pool.setZero(block);
                case ERROR -> pool.setError(block);
                case UNTOUCHED -> {}
            }
        }
    }

    private static void write(LibPmemblk pool, int blockSize, int round) throws IOException {
        for (long block : blocks(pool.blockCount())) {
            switch (State.of(block, round)) {
                case DATA -> pool.write(block, content(block, round, blockSize));
                case ZERO -> pool.setZero(block);
                case ERROR -> pool.setError(block);
                case UNTOUCHED -> {}
            }
        }
    }

    private interface Reader {
        byte[] read(long block) throws IOException;
    }

    private static void verify(Reader reader, long blockCount, int blockSize, int round)
            throws IOException {
        for (long block : blocks(blockCount)) {
            switch (State.of(block, round)) {
                case DATA ->
                        assertArrayEquals(
                                content(block, round, blockSize),
                                reader.read(block),
                                "block " + block);
                case ZERO -> assertArrayEquals(new byte[blockSize], reader.read(block));
                case ERROR -> assertThrows(IOException.class, () -> reader.read(block));
                case UNTOUCHED -> {}
            }
        }
    }

    private static byte[] read(BlockPool pool, long block) throws IOException {
        ByteBuffer target = ByteBuffer.allocate(pool.blockSize());
        pool.read(block, target);
        return target.array();
    }

    private static void requireConsistent(Path path) throws Exception {
        assertTrue(BlockPool.check(path, 0).isConsistent());
        assertEquals(1, LibPmemblk.check(path));
        assertNull(LibPmemblk.pmempoolComplaint(path));
    }

    private static void takeTurns(Path path, int blockSize) throws Exception {
        for (int round = 0; round < 4; round += 2) {
            try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
                write(pool, round);
            }
            requireConsistent(path);
            try (LibPmemblk real = LibPmemblk.open(path, blockSize)) {
                verify(real::read, real.blockCount(), blockSize, round);
                write(real, blockSize, round + 1);
            }
            requireConsistent(path);
            try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
                verify(block -> read(pool, block), pool.blockCount(), blockSize, round + 1);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"512", "520", "4096", "65536"})
    void eachReadsWhatTheOtherWroteInPoolsMadeHere(int blockSize) throws Exception {
        Path path = folder.resolve("ours.pool");
        BlockPool.create(path, blockSize, SIZE, 0600).close();
        requireConsistent(path);

        takeTurns(path, blockSize);
    }

    @ParameterizedTest
    @CsvSource({"512", "520", "4096", "65536"})
    void eachReadsWhatTheOtherWroteInPoolsMadeThere(int blockSize) throws Exception {
        Path path = folder.resolve("theirs.pool");
        LibPmemblk.create(path, blockSize, SIZE).close();

        takeTurns(path, blockSize);
    }

    @Test
    void severalArenasAreOnePool() throws Exception {
        Path path = folder.resolve("large.pool");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(TWO_ARENAS);
        }
        BlockPool.create(path, 65536, 0, 0600).close();
        long second = 8_387_839;
        long[] around = {0, 1, second - 1, second, second + 1, second + 766};
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            assertEquals(2, pool.info().arenaCount());
            assertEquals(second + 767, pool.blockCount());
            for (long block : around) {
                pool.write(block, ByteBuffer.wrap(content(block, 1, 65536)));
            }
            byte[] across = new byte[3 * 65536];
            pool.readBytes((second - 1) * 65536, ByteBuffer.wrap(across));
            assertArrayEquals(
                    content(second, 1, 65536), Arrays.copyOfRange(across, 65536, 2 * 65536));
            List<String> extents = new ArrayList<>();
            pool.extents(
                    (second - 2) * 65536,
                    3 * 65536,
                    (state, length) -> extents.add(state + " " + length));
            assertEquals(List.of("ZERO 65536", "DATA 65536", "DATA 65536"), extents);
            pool.zeroBytes((second - 2) * 65536, 4 * 65536);
            pool.readBytes((second - 1) * 65536, ByteBuffer.wrap(across));
            assertArrayEquals(new byte[3 * 65536], across);
            pool.writeBytes((second - 1) * 65536, ByteBuffer.wrap(across).put(7, (byte) 7));
        }
        try (LibPmemblk real = LibPmemblk.open(path, 65536)) {
            assertEquals(second + 767, real.blockCount());
            assertArrayEquals(content(0, 1, 65536), real.read(0));
            assertArrayEquals(content(second + 766, 1, 65536), real.read(second + 766));
            assertEquals(7, real.read(second - 1)[7]);
            real.write(second, content(second, 2, 65536));
        }
        requireConsistent(path);
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            assertArrayEquals(content(second, 2, 65536), read(pool, second));
        }
    }

    @Test
    void openPoolsAreLockedAgainstEachOther() throws Exception {
        Path path = folder.resolve("locked.pool");
        try (BlockPool pool = BlockPool.create(path, 512, SIZE, 0600)) {
            IOException refused = assertThrows(IOException.class, () -> LibPmemblk.open(path, 512));
            assertTrue(refused.toString().contains("Resource temporarily unavailable"));
            assertThrows(PoolInUseException.class, () -> BlockPool.open(path, PoolOptions.DEFAULT));
            assertThrows(PoolInUseException.class, () -> BlockPool.check(path, 0));
            pool.setZero(0);
        }
        try (LibPmemblk real = LibPmemblk.open(path, 512)) {
            assertThrows(PoolInUseException.class, () -> BlockPool.open(path, PoolOptions.DEFAULT));
            real.setZero(0);
        }
        BlockPool.open(path, PoolOptions.DEFAULT).close();
    }

    @Test
    void aPoolThatTheLibraryNeverWroteIsEmptyHereAndWritable() throws Exception {
        Path path = folder.resolve("blank.pool");
        LibPmemblk.create(path, 4096, SIZE).close();
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT.withReadOnly(true))) {
            assertEquals(9965, pool.blockCount());
            assertArrayEquals(new byte[4096], read(pool, 9964));
        }
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            assertEquals(9965, pool.blockCount());
        }
        requireConsistent(path);
    }

    @Test
    void aPoolThatTheLibraryOpenedAfterAKillGivesUpNothingSilently(
            @TempDir(factory = InMemory.class) Path heldWrites) throws Exception {
        Path path = folder.resolve("disk.pool");
        BlockPool.create(path, 4096, SIZE, 0600).close();
        KilledWriter.run(path, 5, heldWrites);
        try (LibPmemblk theirs = LibPmemblk.open(path, 4096)) {
            theirs.write(9, new byte[4096]);
        }
        PoolOptions options =
                PoolOptions.DEFAULT
                        .withDurability(Durability.ON_FLUSH)
                        .withHeldWritesDirectory(heldWrites);

        PoolChangedException refused =
                assertThrows(PoolChangedException.class, () -> BlockPool.open(path, options));

        String message = String.valueOf(refused.getMessage());
        assertTrue(message.contains("to give those up, remove that file"), message);
        try (DirectoryStream<Path> tables = Files.newDirectoryStream(heldWrites)) {
            Files.delete(tables.iterator().next());
        }
        BlockPool.open(path, options).close();
    }
}
