package pmemblk.pool.btt;

import java.util.concurrent.locks.Lock;

/**
 * A line of map entries with blocks that were filled where they are. Such a block's entry, as
 * stored, reads as zeroes, so nobody sees what the postmap block holds that it owns, and a write
 * may put its data there. Until a commit has stored the entry as a normal one, this is where
 * readers learn of it.
 *
 * <p>Changed under the lock of the line; reading the bits takes none.
 */
final class FilledLine {
    private static final int ALL = (1 << BlockMap.LINE) - 1;

    private final BttArena arena;
    private final int number;
    private final int slot;

    /** The blocks that wait for a commit, and in the upper half those that one has begun with. */
    private volatile int bits;

    /** The entries that those blocks are to have. */
    private final int[] entries = new int[BlockMap.LINE];

    private boolean queued;

    /**
     * A line without filled blocks.
     *
     * @param number which of the arena's lines, from 0
     * @param slot the place in the {@link HeldTable} that is its own
     */
    FilledLine(BttArena arena, int number, int slot) {
        this.arena = arena;
        this.number = number;
        this.slot = slot;
    }

    BttArena arena() {
        return arena;
    }

    int number() {
        return number;
    }

    int slot() {
        return slot;
    }

    Lock lock() {
        return arena.map().lock(firstPremapLba());
    }

    int firstPremapLba() {
        return number * BlockMap.LINE;
    }

    /** The blocks that are filled, as bits. */
    int filled() {
        int both = bits;
        return (both | both >>> BlockMap.LINE) & ALL;
    }

    boolean hasFilled(int premapLba) {
        return (filled() & blocks(premapLba, 1)) != 0;
    }

    /** Whether a commit has begun with a block, and its entry is not durable yet. */
    boolean isCommitting(int premapLba) {
        return (bits >>> BlockMap.LINE & blocks(premapLba, 1)) != 0;
    }

    /** The entry that a filled block is to have. */
    int entry(int premapLba) {
        return entries[premapLba % BlockMap.LINE];
    }

    /** Adds blocks in a row that have been filled, which own blocks in a row. */
    void add(int premapLba, int count, int postmapLba) {
        for (int i = 0; i < count; i++) {
            entries[premapLba % BlockMap.LINE + i] = MapEntry.normal(postmapLba + i);
        }
        bits |= blocks(premapLba, count);
    }

    /** Forgets a block if it waits for a commit; if one has begun with it, it stays. */
    void remove(int premapLba) {
        bits &= ~blocks(premapLba, 1);
    }

    /** Has a commit begin with all that wait for one; returns which. */
    int freeze() {
        queued = false;
        int waiting = bits & ALL;
        bits = (bits & ~ALL) | waiting << BlockMap.LINE;
        return waiting;
    }

    /** Forgets blocks whose commit is complete. */
    void committed(int blocks) {
        bits &= ~(blocks << BlockMap.LINE);
    }

    /** Notes that it is to be frozen; false if it is already. */
    boolean queue() {
        boolean first = !queued;
        queued = true;
        return first;
    }

    boolean isQueued() {
        return queued;
    }

    /** The bits of so many blocks of a line from this one on. */
    private static int blocks(int premapLba, int count) {
        int from = premapLba % BlockMap.LINE;
        return (1 << (from + count)) - (1 << from);
    }
}
