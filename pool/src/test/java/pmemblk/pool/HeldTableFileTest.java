package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
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
import org.junit.jupiter.params.provider.EnumSource;
import pmemblk.pool.btt.HeldTable;

/** What becomes of the writes that a killed process held, and of the file that tells of them. */
class HeldTableFileTest {
    private static final int BLOCK_SIZE = 4096;
    private static final int HELD = 40;

    @TempDir private Path folder;

    @TempDir(factory = InMemory.class)
    private Path heldWrites;

    private Path path;

    @BeforeEach
    void killAWriter() throws Exception {
        path = folder.resolve("disk.pool");
        BlockPool.create(path, BLOCK_SIZE, 20 << 20, 0600).close();
        KilledWriter.run(path, HELD, heldWrites);
        assertEquals(1, tables().size());
    }

    private List<Path> tables() throws IOException {
        try (Stream<Path> files = Files.list(heldWrites)) {
            return files.toList();
        }
    }

    private Path table() throws IOException {
        return tables().getFirst();
    }

    private BlockPool open(Durability durability) throws IOException {
        return BlockPool.open(
                path,
                PoolOptions.DEFAULT.withDurability(durability).withHeldWritesDirectory(heldWrites));
    }

    private static byte[] read(BlockPool pool, long block) throws IOException {
        ByteBuffer target = ByteBuffer.allocate(BLOCK_SIZE);
        pool.read(block, target);
        return target.array();
    }

    private static void requireAll(BlockPool pool, byte[] content) throws IOException {
        for (int block = 0; block < HELD; block++) {
            assertArrayEquals(content, read(pool, block), "block " + block);
        }
    }

    /** The pool opens as one that nobody wrote to, and holds writes as ever. */
    private void requireGivenUp() throws IOException {
        try (BlockPool pool = open(Durability.ON_FLUSH)) {
            requireAll(pool, new byte[BLOCK_SIZE]);
            pool.write(0, ByteBuffer.wrap(KilledWriter.content(BLOCK_SIZE)));
        }
        assertEquals(List.of(), tables());
        assertTrue(BlockPool.check(path, 0).isConsistent());
    }

    @ParameterizedTest
    @EnumSource
    void heldWritesAreTakenOverAndTheirFileGoesWithTheLastUse(Durability durability)
            throws IOException {
        try (BlockPool pool = open(durability)) {
            requireAll(pool, KilledWriter.content(BLOCK_SIZE));
        }

        assertEquals(List.of(), tables());
        try (BlockPool pool = open(durability)) {
            requireAll(pool, KilledWriter.content(BLOCK_SIZE));
        }
    }

    @Test
    void whoOnlyReadsSeesTheHeldWritesAndLeavesThem() throws IOException {
        byte[] before = Files.readAllBytes(path);
        PoolOptions options =
                PoolOptions.DEFAULT.withReadOnly(true).withHeldWritesDirectory(heldWrites);

        try (BlockPool pool = BlockPool.open(path, options)) {
            requireAll(pool, KilledWriter.content(BLOCK_SIZE));
        }

        assertArrayEquals(before, Files.readAllBytes(path));
        assertEquals(1, tables().size());
    }

    @Test
    void afterARebootThePoolAloneIsTheTruth() throws IOException {
        // The id of the boot, of which the data in the page cache were.
        try (FileChannel file = FileChannel.open(table(), StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(16).putLong(0, 42), 24);
        }

        requireGivenUp();
    }

    @Test
    void withoutTheFileTheHeldWritesAreLostAndThePoolIsNot() throws IOException {
        Files.delete(table());

        requireGivenUp();
    }

    @Test
    void aFileThatWasNotFinishedIsReplaced() throws IOException {
        try (FileChannel file = FileChannel.open(table(), StandardOpenOption.WRITE)) {
            file.truncate(100);
        }

        requireGivenUp();
    }

    @Test
    void aTableOfAnOlderVersionIsTakenOver() throws Exception {
        open(Durability.ON_FLUSH).close();
        try (BlockPool pool = open(Durability.ON_FLUSH)) {
            pool.write(0, ByteBuffer.allocate(BLOCK_SIZE));
        }
        KilledWriter.run(path, 1, heldWrites);
        // Older ones have no slots for lines.
        try (FileChannel file = FileChannel.open(table(), StandardOpenOption.WRITE)) {
            file.truncate(4096 + HeldTable.size(0));
        }

        try (BlockPool pool = open(Durability.ON_FLUSH)) {
            requireAll(pool, KilledWriter.content(BLOCK_SIZE));
        }
        assertEquals(List.of(), tables());
    }

    @Test
    void aFileOfAnotherUserIsNotBelieved() throws IOException {
        Files.setAttribute(table(), "unix:uid", 12345);

        PoolChangedException e =
                assertThrows(PoolChangedException.class, () -> open(Durability.ON_FLUSH));

        assertTrue(String.valueOf(e.getMessage()).contains("is not a file of this user"));
        assertEquals(1, tables().size());
    }

    @Test
    void aLinkIsNotFollowed() throws IOException {
        Path table = table();
        Path elsewhere = Files.move(table, heldWrites.resolve("elsewhere"));
        Files.createSymbolicLink(table, elsewhere);

        assertThrows(PoolChangedException.class, () -> open(Durability.ON_FLUSH));
    }

    @Test
    void onADiskThereIsNoPlaceForIt() throws IOException {
        Files.delete(table());
        PoolOptions options =
                PoolOptions.DEFAULT
                        .withDurability(Durability.ON_FLUSH)
                        .withHeldWritesDirectory(folder);

        PoolFileException e =
                assertThrows(PoolFileException.class, () -> BlockPool.open(path, options));

        assertTrue(String.valueOf(e.getMessage()).contains("does not lie on tmpfs"));
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(List.of(path), files.toList());
        }
    }
}
