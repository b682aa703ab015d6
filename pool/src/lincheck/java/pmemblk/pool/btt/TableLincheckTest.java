package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.UUID;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.Validate;
import org.junit.jupiter.api.Test;
import pmemblk.pool.media.Medium;

/**
 * Blocks behave as if one thread at a time used them, and each keeps one owner: lanes, read
 * tracking, map entries and the handing over of held writes to a commit, under real threads.
 */
@Param(name = "block", gen = IntGen.class, conf = "0:1")
@Param(name = "value", gen = IntGen.class, conf = "1:3")
public abstract class TableLincheckTest {
    private static final int BLOCKS = 3;
    private static final int LANES = 3;
    private static final int BLOCK_SIZE = 16;
    private static final UUID PARENT = new UUID(1, 2);

    private final BttSite site;
    private final CachedTable table;

    /** A table with a cache of so many blocks. */
    TableLincheckTest(Medium.Kind kind, int cached) throws IOException {
        Medium medium = new WordMedium(kind, Geometry.MIN_ARENA_SIZE);
        InfoBlock info =
                new InfoBlock(
                        new UUID(3, 4),
                        PARENT,
                        false,
                        BLOCK_SIZE,
                        BLOCKS,
                        BLOCK_SIZE,
                        BLOCKS + LANES,
                        LANES,
                        0,
                        4096,
                        8192,
                        12288,
                        Geometry.MIN_ARENA_SIZE - InfoBlock.SIZE);
        MemorySegment block = MemorySegment.ofArray(new long[(int) InfoBlock.SIZE / 8]);
        info.write(block);
        medium.write(0, block);
        medium.write(info.infoOffset(), block);
        MemorySegment flog = MemorySegment.ofArray(new long[LANES * 8]);
        Flog.format(flog, info);
        medium.write(info.flogOffset(), flog);
        site = new BttSite(medium, 0, PARENT, BLOCK_SIZE);
        Medium memory = new WordMedium(Medium.Kind.TMPFS, 1 << 20);
        table =
                new CachedTable(
                        BlockTranslationTable.open(site, true, false, null),
                        new WriteCache(memory, 0, cached, BLOCK_SIZE, false));
    }

    /** Ordinary files: held writes and commits. */
    public static class GroupCommitLincheckTest extends TableLincheckTest {
        public GroupCommitLincheckTest() throws IOException {
            super(Medium.Kind.FILE, 0);
        }
    }

    /** The same with a cache that is full now and then. */
    public static class WriteCacheLincheckTest extends TableLincheckTest {
        public WriteCacheLincheckTest() throws IOException {
            super(Medium.Kind.FILE, 2);
        }
    }

    /** Memory: each write swaps at once. */
    public static class InPlaceLincheckTest extends TableLincheckTest {
        public InPlaceLincheckTest() throws IOException {
            super(Medium.Kind.TMPFS, 0);
        }
    }

    @Operation
    public void write(@Param(name = "block") int block, @Param(name = "value") int value)
            throws IOException {
        table.write(block, MemorySegment.ofArray(new long[] {value, value}));
    }

    @Operation
    public void writeThrough(@Param(name = "block") int block, @Param(name = "value") int value)
            throws IOException {
        table.writeThrough(block, MemorySegment.ofArray(new long[] {value, value}));
    }

    @Operation
    public void zero(@Param(name = "block") int block) throws IOException {
        table.zero(block, 1);
    }

    /** Returns the value, or -1 if the halves of the block differ. */
    @Operation
    public long read(@Param(name = "block") int block) throws IOException {
        long[] halves = new long[2];
        table.read(block, 0, MemorySegment.ofArray(halves));
        return halves[0] == halves[1] ? halves[0] : -1;
    }

    /** A change of bytes within a block, for which it is read before. */
    @Operation
    public void edit(@Param(name = "block") int block, @Param(name = "value") int value)
            throws IOException {
        table.edit(block, 0, MemorySegment.ofArray(new long[] {value, value}));
    }

    @Operation
    public void flush() throws IOException {
        table.flush();
    }

    @Validate
    public void eachBlockHasOneOwner() throws IOException {
        table.flush();
        List<String> damage = BttCheck.run(site);
        if (!damage.isEmpty()) {
            throw new IllegalStateException(damage.toString());
        }
    }

    @Test
    void isLinearizable() {
        new StressOptions()
                .threads(3)
                .actorsBefore(1)
                .actorsPerThread(3)
                .actorsAfter(0)
                .iterations(30)
                .invocationsPerIteration(1000)
                .sequentialSpecification(Blocks.class)
                .check(getClass());
    }

    /** What a single thread would see. */
    public static final class Blocks {
        private final long[] values = new long[BLOCKS];

        public void write(int block, int value) {
            values[block] = value;
        }

        public void writeThrough(int block, int value) {
            values[block] = value;
        }

        public void zero(int block) {
            values[block] = 0;
        }

        public long read(int block) {
            return values[block];
        }

        public void edit(int block, int value) {
            values[block] = value;
        }

        public void flush() {}
    }
}
