package pmemblk.pool.btt;

import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Blocks of all arenas that are filled where they are, from there to the commit that stores their
 * entries. All but freezing, storing and letting go, which are a commit's, is done under the locks
 * of the blocks' entries.
 */
final class Filling {
    private final @Nullable HeldTable table;
    private final BooleanSupplier zeroesDurable;

    /** Lines with blocks that were filled since the last freeze, and some that have none left. */
    private final Queue<FilledLine> unfrozen = new ConcurrentLinkedQueue<>();

    /** The places of lines in the table. */
    private final Slots slots;

    /** Those filled blocks of a line that are in a batch, as bits. */
    record Frozen(FilledLine line, int blocks) {}

    /**
     * Nothing is filled.
     *
     * @param table lets filled blocks outlive the process; or null
     * @param zeroesDurable whether all blocks that were zeroed are so on the device
     */
    Filling(@Nullable HeldTable table, BooleanSupplier zeroesDurable) {
        this.table = table;
        this.zeroesDurable = zeroesDurable;
        this.slots = new Slots(table == null ? HeldTable.MAX_LINES : table.lineCount());
    }

    /**
     * How many blocks from the first on may be filled where they are, up to {@code count}: no crash
     * can show what the postmap blocks hold that they own. The locks are held until they are {@link
     * #filled}.
     */
    int fillable(BttArena arena, int firstPremapLba, int count) throws IOException {
        int fillable = 0;
        while (fillable < count
                && isFillable(arena.map(), firstPremapLba + fillable)
                && hasLine(arena, firstPremapLba + fillable)) {
            fillable++;
        }
        return fillable;
    }

    private boolean isFillable(BlockMap map, int premapLba) throws IOException {
        int entry = map.stored(premapLba);
        // A power cut may bring back what was there before a zeroing that is not durable.
        return MapEntry.readsAsZeroes(entry)
                && !map.isPending(premapLba)
                && (MapEntry.isInitial(entry) || zeroesDurable.getAsBoolean());
    }

    /**
     * Sees that a block has a line, which will be frozen; false if the table has no place for it.
     */
    private boolean hasLine(BttArena arena, int premapLba) {
        FilledLine line = arena.map().filled().of(premapLba);
        if (line == null) {
            int slot = slots.take();
            if (slot < 0) {
                return false;
            }
            line = new FilledLine(arena, premapLba / BlockMap.LINE, slot);
            arena.map().filled().put(line);
        }
        if (line.queue()) {
            unfrozen.add(line);
        }
        return true;
    }

    /**
     * Makes blocks that have been filled, all of them {@link #fillable}, what readers find.
     *
     * @param firstPostmapLba the block that the first of them owns; the others' follow it
     */
    void filled(BttArena arena, int firstPremapLba, int count, int firstPostmapLba)
            throws IOException {
        for (int done = 0; done < count; ) {
            int lba = firstPremapLba + done;
            int inLine = Math.min(count - done, BlockMap.LINE - lba % BlockMap.LINE);
            FilledLine line = Objects.requireNonNull(arena.map().filled().of(lba));
            line.add(lba, inLine, firstPostmapLba + done);
            account(line);
            done += inLine;
        }
    }

    /** Forgets that a block was filled, unless a commit has begun with it. */
    void forget(BttArena arena, int premapLba) throws IOException {
        FilledLine line = arena.map().filled().with(premapLba);
        if (line != null) {
            line.remove(premapLba);
            account(line);
        }
    }

    private void account(FilledLine line) throws IOException {
        if (table != null) {
            table.putLine(line);
        }
    }

    /** Has a commit begin with what is filled now. */
    void freezeInto(List<Frozen> batch) {
        // As many as there are now: those that come meanwhile are the next batch's.
        for (int left = unfrozen.size(); left > 0; left--) {
            FilledLine line = unfrozen.remove();
            line.lock().lock();
            try {
                int blocks = line.freeze();
                if (blocks != 0) {
                    batch.add(new Frozen(line, blocks));
                }
                letGoIfEmpty(line);
            } finally {
                line.lock().unlock();
            }
        }
    }

    /** Stores the entries of blocks whose data are durable. */
    static void store(List<Frozen> batch) throws IOException {
        int[] entries = new int[BlockMap.LINE];
        for (Frozen frozen : batch) {
            FilledLine line = frozen.line();
            int count = 0;
            for (int i = 0; i <= BlockMap.LINE; i++) {
                int lba = line.firstPremapLba() + i;
                if ((frozen.blocks() >> i & 1) != 0) {
                    entries[count++] = line.entry(lba);
                } else {
                    line.arena().map().setAll(lba - count, entries, count);
                    count = 0;
                }
            }
        }
    }

    /** Lets go of blocks whose entries are durable. */
    void letGo(List<Frozen> batch) throws IOException {
        for (Frozen frozen : batch) {
            FilledLine line = frozen.line();
            line.lock().lock();
            try {
                line.committed(frozen.blocks());
                account(line);
                letGoIfEmpty(line);
            } finally {
                line.lock().unlock();
            }
        }
    }

    /** Lets go of a line without filled blocks that is not about to be frozen. */
    private void letGoIfEmpty(FilledLine line) {
        if (line.filled() == 0 && !line.isQueued()) {
            line.arena().map().filled().remove(line);
            slots.give(line.slot());
        }
    }
}
