package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every pool that libpmemblk wrote behaves as it does there, or better where it loses data. */
class GoldenPoolTest {
    /** A block that every golden pool may be written at. */
    private static final long WRITTEN = 13;

    private static final PoolOptions READ_ONLY = PoolOptions.DEFAULT.withReadOnly(true);

    @TempDir private Path folder;

    /** The pool whose first info block is damaged has tests of its own. */
    static Stream<Golden.Pool> pools() {
        return Golden.MANIFEST.pools().stream().filter(pool -> !pool.file().startsWith("bad-info"));
    }

    private static byte[] read(BlockPool pool, long block) throws IOException {
        ByteBuffer target = ByteBuffer.allocate(pool.blockSize());
        pool.read(block, target);
        return target.array();
    }

    private static void requireBlocks(Golden.Pool golden, BlockPool pool) throws IOException {
        assertEquals(golden.bsize(), pool.blockSize());
        assertEquals(golden.nblock(), pool.blockCount());
        for (Golden.Block block : golden.blocks()) {
            if (block.state().equals("error")) {
                BlockErrorException e =
                        assertThrows(BlockErrorException.class, () -> read(pool, block.lba()));
                assertEquals(block.lba(), e.block());
            } else {
                assertArrayEquals(
                        block.content(golden.bsize()),
                        read(pool, block.lba()),
                        "block " + block.lba());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("pools")
    void opensAndReadsOrIsRefused(Golden.Pool golden) throws IOException {
        Path path = Golden.unpack(golden, folder);
        if (!golden.expect().open().equals("ok")) {
            CorruptPoolException e =
                    assertThrows(
                            CorruptPoolException.class,
                            () -> BlockPool.open(path, PoolOptions.DEFAULT));
            assertTrue(String.valueOf(e.getMessage()).startsWith(path + ": "), e.getMessage());
            return;
        }
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            requireBlocks(golden, pool);
        }
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            requireBlocks(golden, pool);
        }
    }

    @ParameterizedTest
    @MethodSource("pools")
    void readOnlyItReadsTheSameAndTheFileStaysAsItIs(Golden.Pool golden) throws IOException {
        if (golden.storage().equals("gzip-extents") || !golden.expect().open().equals("ok")) {
            return;
        }
        Path path = Golden.unpack(golden, folder);
        List<byte[]> before = contents();

        try (BlockPool pool = BlockPool.open(path, READ_ONLY)) {
            requireBlocks(golden, pool);
            assertThrows(ReadOnlyPoolException.class, () -> pool.setZero(0));
        }
        BlockPool.check(path, 0);

        List<byte[]> after = contents();
        for (int i = 0; i < before.size(); i++) {
            assertArrayEquals(before.get(i), after.get(i));
        }
    }

    private List<byte[]> contents() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().map(GoldenPoolTest::bytes).toList();
        }
    }

    private static byte[] bytes(Path path) {
        try {
            return Files.readAllBytes(path);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @ParameterizedTest
    @MethodSource("pools")
    void isWrittenAsFarAsItMayBe(Golden.Pool golden) throws Exception {
        if (!golden.expect().open().equals("ok")) {
            return;
        }
        Path path = Golden.unpack(golden, folder);
        byte[] bytes = new byte[golden.bsize()];
        Arrays.fill(bytes, (byte) 0x77);
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            switch (golden.expect().write()) {
                case "ok" -> {
                    pool.write(WRITTEN, ByteBuffer.wrap(bytes));
                    assertArrayEquals(bytes, read(pool, WRITTEN));
                }
                case "EIO" -> {
                    assertThrows(
                            ArenaErrorException.class,
                            () -> pool.write(WRITTEN, ByteBuffer.wrap(bytes)));
                    assertThrows(ArenaErrorException.class, () -> pool.setZero(0));
                    assertThrows(ArenaErrorException.class, () -> pool.setError(0));
                    requireBlocks(golden, pool);
                }
                case "EROFS" ->
                        assertThrows(
                                ReadOnlyPoolException.class,
                                () -> pool.write(WRITTEN, ByteBuffer.wrap(bytes)));
                case null, default -> throw new AssertionError(golden.expect().write());
            }
        }
        if (golden.expect().write().equals("ok") && golden.expect().check() == 1) {
            assertEquals(List.of(), BlockPool.check(path, 0).damage());
            assertNull(LibPmemblk.pmempoolComplaint(path));
            try (LibPmemblk real = LibPmemblk.open(path, golden.bsize())) {
                assertArrayEquals(bytes, real.read(WRITTEN));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("pools")
    void checkAgreesWithTheLibrary(Golden.Pool golden) throws IOException {
        Path path = Golden.unpack(golden, folder);

        PoolCheck check = BlockPool.check(path, 0);

        assertEquals(golden.expect().check() == 1, check.isConsistent(), check.toString());
    }

    @Test
    void aDamagedFirstInfoBlockIsReplacedByItsBackup() throws Exception {
        Golden.Pool golden = Golden.named("bad-info-512.pool.gz");
        Path path = Golden.unpack(golden, folder);
        assertFalseConsistent(path);

        // The library reads zeroes here; the blocks are those of the pool that it damaged.
        byte[] readOnly;
        try (BlockPool pool = BlockPool.open(path, READ_ONLY)) {
            readOnly = read(pool, 0);
        }
        assertTrue(Stream.of(readOnly).anyMatch(bytes -> bytes[0] != 0 || bytes[1] != 0));
        assertFalseConsistent(path);
        try (BlockPool pool = BlockPool.open(path, PoolOptions.DEFAULT)) {
            assertArrayEquals(readOnly, read(pool, 0));
        }
        assertEquals(List.of(), BlockPool.check(path, 0).damage());
        assertNull(LibPmemblk.pmempoolComplaint(path));
        try (LibPmemblk real = LibPmemblk.open(path, 512)) {
            assertArrayEquals(readOnly, real.read(0));
        }
    }

    private static void assertFalseConsistent(Path path) throws IOException {
        List<Damage> damage = BlockPool.check(path, 0).damage();
        assertEquals(1, damage.size(), damage.toString());
        assertEquals("primary info block", damage.getFirst().place());
    }

    @Test
    void aPoolWithBothInfoBlocksDamagedIsRefusedAndNotTakenForEmpty() throws IOException {
        Path path = Golden.unpack(Golden.named("mix-512.pool.gz"), folder);
        byte[] bytes = Files.readAllBytes(path);
        bytes[8192 + 60]++;
        bytes[8192 + 16_773_120 + 60]++;
        Files.write(path, bytes);

        CorruptPoolException e =
                assertThrows(
                        CorruptPoolException.class,
                        () -> BlockPool.open(path, PoolOptions.DEFAULT));

        assertTrue(String.valueOf(e.getMessage()).contains("found both damaged"));
        assertArrayEquals(bytes, Files.readAllBytes(path));
    }
}
