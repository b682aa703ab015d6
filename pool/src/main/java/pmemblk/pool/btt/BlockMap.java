package pmemblk.pool.btt;

import java.io.IOException;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import pmemblk.pool.media.Medium;

/**
 * The map of one arena: for each premap block its {@link MapEntry}, and the locks under which
 * entries change. A write that is held back until the next commit shows here already, though its
 * entry is stored later.
 *
 * <p>Reading an entry needs no lock. A lock covers a <em>line</em> of 16 entries, and is held from
 * reading the old entry until the new one is durable: then no two flog entries name the same old
 * block, and no later write of a block can be logged while an earlier one's entry could get lost.
 */
final class BlockMap {
    static final int LINE = 16;

    /** As many entries, from a multiple of it on, as are stored best together: a page of them. */
    static final int PAGE = 1024;

    /** As many entries as a range may span, so that it takes each lock once at most. */
    static final int MAX_RANGE = InfoBlock.NFREE * LINE;

    private final Medium medium;
    private final long offset;
    private final int count;
    private final HeldWrites held = new HeldWrites();
    private final FilledLines filled = new FilledLines();
    private final Lock[] locks = new Lock[InfoBlock.NFREE];

    /**
     * @param offset where entry 0 lies on the medium, in bytes
     */
    BlockMap(Medium medium, long offset, int count) {
        this.medium = medium;
        this.offset = offset;
        this.count = count;
        for (int i = 0; i < locks.length; i++) {
            locks[i] = new ReentrantLock();
        }
    }

    int count() {
        return count;
    }

    /** The writes that are held back; changed under the locks of their entries. */
    HeldWrites held() {
        return held;
    }

    /** The blocks that were filled where they are; changed under the locks of their entries. */
    FilledLines filled() {
        return filled;
    }

    /** The entry as readers are to see it. */
    int get(int premapLba) throws IOException {
        // In the order in which a block goes from one to the next, or one could be missed.
        FilledLine line = filled.with(premapLba);
        HeldWrite write = held.get(premapLba);
        if (write != null) {
            return MapEntry.normal(write.postmapLba());
        }
        return line == null ? stored(premapLba) : line.entry(premapLba);
    }

    /** Whether a block's entry is yet to be stored. */
    boolean isPending(int premapLba) {
        return held.get(premapLba) != null || filled.with(premapLba) != null;
    }

    /** Whether {@link #get} can do without waiting for a device. */
    boolean isAtHand(int premapLba) {
        return isPending(premapLba) || medium.isAtHand(entryOffset(premapLba));
    }

    /** The entry as stored. */
    int stored(int premapLba) throws IOException {
        return medium.load(entryOffset(premapLba));
    }

    /**
     * Tells the states of a range of blocks; each is that of some moment during the call.
     *
     * @param rangeCount at least 1
     * @return whether the visitor wants to go on
     */
    boolean scan(int firstPremapLba, int rangeCount, RunVisitor visitor) throws IOException {
        int[] entries = new int[Math.min(rangeCount, PAGE)];
        int runEntry = 0;
        int runCount = 0;
        for (int done = 0; done < rangeCount; done += entries.length) {
            int count = Math.min(entries.length, rangeCount - done);
            getAll(firstPremapLba + done, entries, count);
            int alike = areAlike(entries, count) ? count : 1;
            for (int i = 0; i < count; i += alike) {
                if (runCount > 0 && !MapEntry.sameState(entries[i], runEntry)) {
                    if (!tell(runEntry, runCount, visitor)) {
                        return false;
                    }
                    runCount = 0;
                }
                runEntry = entries[i];
                runCount += alike;
            }
        }
        return tell(runEntry, runCount, visitor);
    }

    /** Whether reading gives data for each of some entries, or gives zeroes for each. */
    private static boolean areAlike(int[] entries, int count) {
        int all = entries[0];
        int any = entries[0];
        for (int i = 1; i < count; i++) {
            all &= entries[i];
            any |= entries[i];
        }
        return MapEntry.isNormal(all) || MapEntry.readsAsZeroes(any);
    }

    /** Entries whose states are as readers are to see them, though not all else that they say. */
    private void getAll(int firstPremapLba, int[] entries, int rangeCount) throws IOException {
        // In the same order as for one. What a state is, one byte of an entry says.
        if (filled.isEmpty() && held.isEmpty()) {
            medium.loadAll(entryOffset(firstPremapLba), entries, rangeCount);
            return;
        }
        for (int i = 0; i < rangeCount; i++) {
            entries[i] = get(firstPremapLba + i);
        }
    }

    private static boolean tell(int entry, int runCount, RunVisitor visitor) {
        return visitor.run(MapEntry.isError(entry), MapEntry.readsAsZeroes(entry), runCount);
    }

    /** Stores an entry; the caller holds its lock, and persists. */
    void set(int premapLba, int entry) throws IOException {
        medium.store(entryOffset(premapLba), entry);
    }

    /** Stores the first {@code rangeCount} of some entries; the caller holds their locks. */
    void setAll(int firstPremapLba, int[] entries, int rangeCount) throws IOException {
        if (rangeCount > 0) {
            medium.storeAll(entryOffset(firstPremapLba), entries, rangeCount);
        }
    }

    /** Stores entries of blocks whose numbers rise; the caller holds their locks. */
    void setEach(int[] premapLbas, int[] entries) throws IOException {
        long[] offsets = new long[premapLbas.length];
        for (int i = 0; i < offsets.length; i++) {
            offsets[i] = entryOffset(premapLbas[i]);
        }
        medium.storeEach(offsets, entries);
    }

    /** Sees to it that {@link #set} finds places; the caller holds the entries' locks. */
    void reserve(int firstPremapLba, int rangeCount) throws IOException {
        // One entry a line and the last reach every page.
        for (int lba = firstPremapLba; lba < firstPremapLba + rangeCount; lba += LINE) {
            medium.reserve(entryOffset(lba));
        }
        if (rangeCount > 1) {
            medium.reserve(entryOffset(firstPremapLba + rangeCount - 1));
        }
    }

    void persist(int firstPremapLba, int rangeCount) throws IOException {
        medium.persist(entryOffset(firstPremapLba), (long) rangeCount * MapEntry.SIZE);
    }

    Lock lock(int premapLba) {
        return locks[lockIndex(premapLba)];
    }

    /**
     * How many of the entries from this one on lie in the same page, which is stored as a whole.
     */
    static int inPageFrom(int premapLba, int wanted) {
        return Math.min(wanted, PAGE - premapLba % PAGE);
    }

    /** How many of the entries from this one on may be locked together. */
    static int rangeFrom(int premapLba, int wanted) {
        return Math.min(wanted, MAX_RANGE - premapLba % LINE);
    }

    /**
     * Locks a range of {@link #rangeFrom}; in the order of the locks, so that none waits in vain.
     */
    void lockRange(int firstPremapLba, int rangeCount) {
        int from = lockIndex(firstPremapLba);
        int to = from + lineCount(firstPremapLba, rangeCount);
        for (int i = locks.length; i < to; i++) {
            locks[i - locks.length].lock();
        }
        for (int i = from; i < Math.min(to, locks.length); i++) {
            locks[i].lock();
        }
    }

    void unlockRange(int firstPremapLba, int rangeCount) {
        int from = lockIndex(firstPremapLba);
        int to = from + lineCount(firstPremapLba, rangeCount);
        for (int i = from; i < to; i++) {
            locks[i % locks.length].unlock();
        }
    }

    private static int lineCount(int firstPremapLba, int rangeCount) {
        return (firstPremapLba + rangeCount - 1) / LINE - firstPremapLba / LINE + 1;
    }

    private static int lockIndex(int premapLba) {
        return premapLba / LINE % InfoBlock.NFREE;
    }

    /** Where an entry lies on the medium, in bytes. */
    long entryOffset(int premapLba) {
        assert premapLba >= 0 && premapLba < count : premapLba;
        return offset + (long) premapLba * MapEntry.SIZE;
    }
}
