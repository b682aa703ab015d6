package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import pmemblk.pool.media.Medium;

/**
 * A zeroing of many blocks that fails half-way, as the map's second page cannot be read: what it
 * has zeroed by then counts like any other zeroing.
 */
class ZeroFailureTest {
    private static final int BLOCK_SIZE = 512;
    private static final long BASE = 8192;
    private static final int WRITTEN = 8;
    private static final int IMAGES = 200;

    private final FailingMedium medium = new FailingMedium();

    private static final class FailingMedium extends CrashMedium {
        private long unreadableFrom = Long.MAX_VALUE;

        FailingMedium() {
            super(Medium.Kind.FILE, 17 << 20);
        }

        @Override
        public int load(long offset) throws IOException {
            if (offset >= unreadableFrom) {
                throw new IOException("unreadable sector");
            }
            return super.load(offset);
        }
    }

    @Test
    void powerCutAfterFlush() throws IOException {
        BlockTranslationTable table = open(medium, null);
        byte before = flushAfterFailingToZeroUnflushed(table);

        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < IMAGES; i++) {
            CrashMedium after = medium.anyImage(random);
            assertEquals(before, firstByte(open(after, null), 0));
            assertEquals(List.of(), BttCheck.run(site(after)));
        }
    }

    @Test
    void kill() throws IOException {
        CrashMedium memory = new CrashMedium(Medium.Kind.TMPFS, 1 << 20);
        BlockTranslationTable table = open(medium, new HeldTable(memory, 0));
        byte before = flushAfterFailingToZeroUnflushed(table);

        CrashMedium after = medium.afterKill();
        BlockTranslationTable reopened = open(after, new HeldTable(memory.afterKill(), 0));
        assertEquals(before, firstByte(reopened, 0));
        assertEquals(List.of(), BttCheck.run(site(after)));
    }

    /** Blocks whose zeroing is not durable must not be filled where they are. */
    @Test
    void powerCutAfterFilling() throws IOException {
        BlockTranslationTable table = open(medium, null);
        writeAll(table, 1);
        table.checkpoint();
        failToZero(table);
        assertEquals(0, firstByte(table, 0));
        writeAll(table, 2);

        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < IMAGES; i++) {
            byte after = firstByte(open(medium.anyImage(random), null), 0);
            assertTrue(after == 0 || after == 1, () -> "what was never flushed is there");
        }
    }

    /** Returns what the first block then reads as. */
    private byte flushAfterFailingToZeroUnflushed(BlockTranslationTable table) throws IOException {
        writeAll(table, 1);
        table.checkpoint();
        writeAll(table, 2);
        failToZero(table);
        table.flush();
        return firstByte(table, 0);
    }

    private void failToZero(BlockTranslationTable table) throws IOException {
        long map = BASE + InfoBlocks.read(site(medium), false).getFirst().mapOffset();
        medium.unreadableFrom = map + BlockMap.PAGE * MapEntry.SIZE;
        assertThrows(IOException.class, () -> table.zero(0, 2 * BlockMap.PAGE));
        medium.unreadableFrom = Long.MAX_VALUE;
    }

    private static void writeAll(BlockTranslationTable table, int value) throws IOException {
        byte[] bytes = new byte[WRITTEN * BLOCK_SIZE];
        MemorySegment source = MemorySegment.ofArray(bytes).fill((byte) value);
        for (long done = 0; done < bytes.length; ) {
            done += table.write(done / BLOCK_SIZE, source.asSlice(done));
        }
    }

    private static byte firstByte(BlockTranslationTable table, long lba) throws IOException {
        byte[] bytes = new byte[BLOCK_SIZE];
        table.read(lba, 0, MemorySegment.ofArray(bytes));
        return bytes[0];
    }

    private static BlockTranslationTable open(CrashMedium medium, @Nullable HeldTable held)
            throws IOException {
        return BlockTranslationTable.open(site(medium), true, false, held);
    }

    private static BttSite site(CrashMedium medium) {
        return new BttSite(medium, BASE, new UUID(1, 2), BLOCK_SIZE);
    }
}
