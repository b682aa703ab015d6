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
    private static final int LINE = 16;

    /** As many entries as a range may span, so that it takes each lock once at most. */
    static final int MAX_RANGE = InfoBlock.NFREE * LINE;

    private final Medium medium;
    private final long offset;
    private final int count;
    private final HeldWrites held = new HeldWrites();
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

    /** The entry as readers are to see it. */
    int get(int premapLba) throws IOException {
        HeldWrite write = held.get(premapLba);
        return write == null ? stored(premapLba) : MapEntry.normal(write.postmapLba());
    }

    /** Whether {@link #get} can do without waiting for a device. */
    boolean isAtHand(int premapLba) {
        return held.get(premapLba) != null || medium.isAtHand(entryOffset(premapLba));
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
        int end = firstPremapLba + rangeCount;
        int runStart = firstPremapLba;
        int runEntry = get(runStart);
        for (int lba = runStart + 1; lba < end; lba++) {
            int entry = get(lba);
            if (!MapEntry.sameState(entry, runEntry)) {
                if (!tell(runEntry, lba - runStart, visitor)) {
                    return false;
                }
                runStart = lba;
                runEntry = entry;
            }
        }
        return tell(runEntry, end - runStart, visitor);
    }

    private static boolean tell(int entry, int runCount, RunVisitor visitor) {
        return visitor.run(MapEntry.isError(entry), MapEntry.readsAsZeroes(entry), runCount);
    }

    /** Stores an entry; the caller holds its lock, and persists. */
    void set(int premapLba, int entry) throws IOException {
        medium.store(entryOffset(premapLba), entry);
    }

    /** Sees to it that {@link #set} finds a place; the caller holds the entry's lock. */
    void reserve(int premapLba) throws IOException {
        medium.reserve(entryOffset(premapLba));
    }

    void persist(int firstPremapLba, int rangeCount) throws IOException {
        medium.persist(entryOffset(firstPremapLba), (long) rangeCount * MapEntry.SIZE);
    }

    Lock lock(int premapLba) {
        return locks[lockIndex(premapLba)];
    }

    /** How many of the entries from this one on may be locked together. */
    static int rangeFrom(int premapLba, int wanted) {
        return Math.min(wanted, MAX_RANGE - premapLba % LINE);
    }

    /**
     * Locks a range of {@link #rangeFrom}; in the order of the locks, so that none waits in vain.
     */
    void lockRange(int firstPremapLba, int rangeCount) {
        for (int i = 0; i < locks.length; i++) {
            if (inRange(i, firstPremapLba, rangeCount)) {
                locks[i].lock();
            }
        }
    }

    void unlockRange(int firstPremapLba, int rangeCount) {
        for (int i = 0; i < locks.length; i++) {
            if (inRange(i, firstPremapLba, rangeCount)) {
                locks[i].unlock();
            }
        }
    }

    private static boolean inRange(int lockIndex, int firstPremapLba, int rangeCount) {
        int firstLine = firstPremapLba / LINE;
        int lineCount = (firstPremapLba + rangeCount - 1) / LINE - firstLine + 1;
        return Math.floorMod(lockIndex - firstLine, InfoBlock.NFREE) < lineCount;
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
