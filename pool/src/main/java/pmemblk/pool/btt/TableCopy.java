package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.function.LongConsumer;
import pmemblk.pool.media.Medium;

/**
 * Copies the blocks of one table into another that is empty and that nobody uses yet.
 *
 * <p>Each block goes to the postmap block of its own number, so that data and map are written in a
 * row, without flog: the copy is a table only once all of it is durable. Blocks that read as zeroes
 * stay as they are in an empty table, and blocks in the error state are put into it.
 */
public final class TableCopy {
    private static final long CHUNK_SIZE = 4 << 20;
    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final BlockTranslationTable source;
    private final Medium medium;
    private final int blockSize;
    private final LongConsumer advanced;

    private TableCopy(
            BlockTranslationTable source, Medium medium, int blockSize, LongConsumer advanced) {
        this.source = source;
        this.medium = medium;
        this.blockSize = blockSize;
        this.advanced = advanced;
    }

    /**
     * Copies all blocks; the caller makes them durable.
     *
     * @param source nobody changes it meanwhile
     * @param target a table that was just laid out, with room for all blocks of the source
     * @param advanced told how many bytes of the source's blocks are done
     */
    public static void copy(BlockTranslationTable source, BttSite target, LongConsumer advanced)
            throws IOException {
        TableCopy copy = new TableCopy(source, target.medium(), target.blockSize(), advanced);
        long base = target.base();
        long firstBlock = 0;
        for (InfoBlock info : InfoBlocks.read(target, false)) {
            copy.fill(base, info, firstBlock);
            base += info.nextOffset();
            firstBlock += info.externalNlba();
        }
    }

    /** Fills an arena whose first block is that of the source's {@code firstBlock}. */
    private void fill(long base, InfoBlock info, long firstBlock) throws IOException {
        int count = Math.clamp(source.blockCount() - firstBlock, 0, info.externalNlba());
        int chunkCount = Math.clamp(CHUNK_SIZE / info.internalLbaSize(), 1, Integer.MAX_VALUE);
        try (Arena memory = Arena.ofConfined()) {
            Chunk chunk = new Chunk(info, chunkCount, memory);
            for (int premapLba = 0; premapLba < count; premapLba += chunkCount) {
                int inChunk = Math.min(chunkCount, count - premapLba);
                if (chunk.read(firstBlock + premapLba, premapLba, inChunk)) {
                    chunk.write(base, premapLba, inChunk);
                }
                advanced.accept((long) inChunk * blockSize);
            }
        }
    }

    /** Some blocks in a row, and their map entries. */
    private final class Chunk {
        private final InfoBlock info;
        private final MemorySegment data;
        private final MemorySegment entries;

        Chunk(InfoBlock info, int count, Arena memory) {
            this.info = info;
            this.data = memory.allocate((long) count * info.internalLbaSize(), Long.BYTES);
            this.entries = memory.allocate((long) count * MapEntry.SIZE, Long.BYTES);
        }

        /** Fills the chunk; false if all of it reads as zeroes. */
        boolean read(long firstBlock, int firstPremapLba, int count) throws IOException {
            boolean any = false;
            for (int i = 0; i < count; i++) {
                boolean zeroes = source.readsAsZeroes(firstBlock + i);
                int entry = zeroes ? 0 : readBlock(firstBlock + i, firstPremapLba + i, i);
                entries.setAtIndex(WORD, i, entry);
                any |= !zeroes;
            }
            return any;
        }

        private int readBlock(long block, int premapLba, int i) throws IOException {
            try {
                source.read(block, 0, data.asSlice((long) i * info.internalLbaSize(), blockSize));
                return MapEntry.normal(premapLba);
            } catch (ErrorBlockException e) {
                return MapEntry.ERROR | premapLba;
            }
        }

        /** Writes each run of blocks that hold data, and the map entries of all. */
        void write(long base, int firstPremapLba, int count) throws IOException {
            for (int begin = 0; begin < count; begin++) {
                int end = begin;
                while (end < count && MapEntry.isNormal(entries.getAtIndex(WORD, end))) {
                    end++;
                }
                if (begin < end) {
                    writeData(base, firstPremapLba, begin, end);
                    begin = end;
                }
            }
            medium.write(
                    base + info.mapOffset() + (long) firstPremapLba * MapEntry.SIZE,
                    entries.asSlice(0, (long) count * MapEntry.SIZE));
        }

        private void writeData(long base, int firstPremapLba, int begin, int end)
                throws IOException {
            long stride = info.internalLbaSize();
            medium.write(
                    base + info.dataOffset() + (firstPremapLba + begin) * stride,
                    data.asSlice(begin * stride, (end - begin) * stride));
        }
    }
}
