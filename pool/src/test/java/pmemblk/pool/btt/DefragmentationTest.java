package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import pmemblk.pool.media.Medium;

/** Blocks that writes have parted come back together, with what they held. */
@Timeout(60)
class DefragmentationTest {
    private static final int BLOCK_SIZE = 512;
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

    /** Most of the pool, and so several pages of its map. */
    private static final int BLOCKS = 30_000;

    /** A table, and what its blocks should hold: a number each, or 0. */
    private static final class Disk {
        private final SplittableRandom random = new SplittableRandom(1);
        private final long[] content = new long[BLOCKS];
        private final BttSite site;
        private final CrashMedium medium;
        private final BlockTranslationTable table;

        /** How many blocks were written by the last defragmentation. */
        private int moves;

        Disk(Medium.Kind kind) throws IOException {
            medium =
                    new CrashMedium(Medium.Kind.FILE, 17 << 20) {
                        @Override
                        public Kind kind() {
                            return kind;
                        }

                        @Override
                        public void write(long offset, MemorySegment source) throws IOException {
                            super.write(offset, source);
                            moves += source.byteSize() == BLOCK_SIZE ? 1 : 0;
                        }
                    };
            site = new BttSite(medium, 8192, new UUID(1, 2), BLOCK_SIZE);
            table = BlockTranslationTable.open(site, true, false, null);
        }

        void write(int lba) throws IOException {
            content[lba] = random.nextLong();
            byte[] bytes = new byte[BLOCK_SIZE];
            MemorySegment block = MemorySegment.ofArray(bytes);
            block.set(WORD, 0, content[lba]);
            block.set(WORD, BLOCK_SIZE - Long.BYTES, content[lba]);
            table.write(lba, block);
        }

        void writeLast() throws IOException {
            byte[] bytes = new byte[BLOCK_SIZE];
            table.write(table.blockCount() - 1, MemorySegment.ofArray(bytes));
        }

        void zero(int lba) throws IOException {
            content[lba] = 0;
            table.zero(lba, 1);
        }

        void writeInOrder() throws IOException {
            for (int lba = 0; lba < BLOCKS; lba++) {
                write(lba);
            }
        }

        void writeAtRandom(int count) throws IOException {
            for (int i = 0; i < count; i++) {
                write(random.nextInt(BLOCKS));
            }
        }

        /** Defragments, moving so many blocks at most. */
        boolean defragment(int most) throws IOException {
            moves = 0;
            return table.defragment(() -> moves < most);
        }

        int pairs() throws IOException {
            table.checkpoint();
            return Rows.pairs(site, BLOCKS);
        }

        void verify() throws IOException {
            byte[] bytes = new byte[BLOCK_SIZE];
            MemorySegment block = MemorySegment.ofArray(bytes);
            for (int lba = 0; lba < BLOCKS; lba++) {
                table.read(lba, 0, block);
                assertEquals(content[lba], block.get(WORD, 0));
                assertEquals(content[lba], block.get(WORD, BLOCK_SIZE - Long.BYTES));
            }
            table.checkpoint();
            assertEquals(List.of(), BttCheck.run(site));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"TMPFS", "FILE"})
    void blocksScatteredAllOver(Medium.Kind kind) throws IOException {
        Disk disk = new Disk(kind);
        disk.writeInOrder();
        disk.writeAtRandom(3 * BLOCKS);
        // The last page of the map is not full.
        disk.writeLast();
        int before = disk.pairs();

        assertTrue(disk.defragment(Integer.MAX_VALUE));

        int after = disk.pairs();
        assertTrue(before < BLOCKS / 100, before + " pairs of neighbours before");
        assertTrue(after > BLOCKS * 99L / 100, after + " pairs of neighbours after");
        disk.verify();
        // A block of each page: all are looked through again.
        int pages = 0;
        for (int lba = 0; lba < BLOCKS; lba += BlockMap.PAGE) {
            disk.write(lba);
            pages++;
        }
        disk.defragment(Integer.MAX_VALUE);
        assertTrue(disk.moves < 10 * pages, disk.moves + " moves once all was done");
    }

    /** Large writes move all blocks by some distance: they stay there, and come back there. */
    @ParameterizedTest
    @EnumSource(names = {"TMPFS", "FILE"})
    void someBlocksOfManyThatHaveMovedTogether(Medium.Kind kind) throws IOException {
        Disk disk = new Disk(kind);
        for (int i = 0; i < 3; i++) {
            disk.writeInOrder();
        }
        disk.defragment(Integer.MAX_VALUE);
        assertTrue(disk.moves < BLOCKS / 20, disk.moves + " moves of what lies in a row");
        disk.writeAtRandom(BLOCKS / 10);
        int before = disk.pairs();

        assertTrue(disk.defragment(Integer.MAX_VALUE));

        int after = disk.pairs();
        assertTrue(before < BLOCKS * 9 / 10, before + " pairs of neighbours before");
        assertTrue(after > BLOCKS * 95L / 100, after + " pairs of neighbours after");
        assertTrue(disk.moves < BLOCKS / 5, disk.moves + " moves");
        disk.verify();
    }

    @ParameterizedTest
    @EnumSource(names = {"TMPFS", "FILE"})
    void stopsWhenToldAndGoesOnLater(Medium.Kind kind) throws IOException {
        Disk disk = new Disk(kind);
        disk.writeInOrder();
        disk.writeAtRandom(BLOCKS);

        int rounds = 0;
        while (!disk.defragment(1000)) {
            rounds++;
        }

        assertTrue(rounds > 10, rounds + " rounds");
        assertTrue(disk.pairs() > BLOCKS * 9L / 10);
        disk.verify();
    }

    /** The lanes that hold their writes free the places where these blocks belong. */
    @ParameterizedTest
    @EnumSource(names = {"TMPFS", "FILE"})
    void aFewBlocksFarApart(Medium.Kind kind) throws IOException {
        Disk disk = new Disk(kind);
        disk.writeInOrder();
        disk.table.checkpoint();
        disk.defragment(Integer.MAX_VALUE);
        int before = disk.pairs();
        for (int i = 0; i < 100; i++) {
            disk.write(i * (BLOCKS / 100) + 10);
        }
        disk.table.flush();

        assertTrue(disk.defragment(Integer.MAX_VALUE));

        int after = disk.pairs();
        assertTrue(after >= before, before + " pairs of neighbours before, after " + after);
        disk.verify();
    }

    /** It could neither be read while it is filled, nor filled while it is read. */
    @Test
    void aBlockThatTheMapHasWhereALaneIsFree() throws IOException {
        Disk disk = new Disk(Medium.Kind.TMPFS);
        InfoBlock info = InfoBlocks.read(disk.site, false).getFirst();
        disk.medium.store(
                disk.site.base() + info.mapOffset() + 3 * MapEntry.SIZE,
                MapEntry.normal(info.externalNlba()));

        MemorySegment part = MemorySegment.ofArray(new byte[1]);
        IOException failure = assertThrows(IOException.class, () -> disk.table.edit(3, 0, part));

        assertEquals(
                "arena 0: map entry of block 3 names block %d, which is the free one of lane 0;"
                                .formatted(info.externalNlba())
                        + " stop, and check the pool",
                failure.getMessage());
    }

    /** What holds no data stays as it is. */
    @ParameterizedTest
    @EnumSource(names = {"TMPFS", "FILE"})
    void blocksThatAreZeroOrInError(Medium.Kind kind) throws IOException {
        Disk disk = new Disk(kind);
        disk.writeInOrder();
        disk.writeAtRandom(BLOCKS);
        for (int lba = 0; lba < BLOCKS; lba += 10) {
            disk.zero(lba);
        }
        disk.table.setError(5);

        assertTrue(disk.defragment(Integer.MAX_VALUE));

        assertTrue(disk.table.readsAsZeroes(10));
        MemorySegment block = MemorySegment.ofArray(new byte[BLOCK_SIZE]);
        assertThrows(ErrorBlockException.class, () -> disk.table.read(5, 0, block));
        disk.write(5);
        disk.verify();
    }
}
