package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.Lock;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.Medium;

/**
 * One arena: reads, writes and zeroes its blocks, each of them atomically.
 *
 * <p>Blocks are numbered as premap LBAs here, below {@link #blockCount}. Thread-safe. Once a swap
 * has failed half-way, or where the medium says that the arena is in error, all changes are refused
 * with an {@link ArenaFailedException} and reads go on: what is true of the interrupted block is
 * for recovery to find out at the next open.
 */
final class BttArena {
    private static final int EDIT_LOCK_COUNT = 64;

    /** Blocks that are read at once, at most: a writer whose free block is among them waits. */
    private static final int MAX_NEIGHBOURS = 64;

    /** Blocks that are filled at once, at most: writers of others wait for their locks. */
    private static final int MAX_FILLED = 256;

    /** Map entries that are stored at once, at most. */
    private static final int MAX_STORED = 256;

    private final Medium medium;
    private final int index;
    private final WritePath path;
    private final InfoBlock info;
    private final long dataOffset;
    private final BlockMap map;
    private final Flog flog;
    private final ReadTracking readers = new ReadTracking();
    private final Object[] editLocks = new Object[EDIT_LOCK_COUNT];
    private final WrittenPages written;

    /** Why changes are refused, or null; set once, by any thread. */
    private volatile @Nullable ArenaFailedException failure;

    /**
     * Opens an arena and finishes what a crash interrupted.
     *
     * @param base where the arena begins on the medium, in bytes
     * @param info sound for this medium
     * @param laneCount at most its nfree
     * @throws CorruptBttException if the flog makes no sense
     */
    BttArena(Medium medium, int index, long base, InfoBlock info, int laneCount, WritePath path)
            throws IOException {
        this.medium = medium;
        this.index = index;
        this.path = path;
        this.info = info;
        this.dataOffset = base + info.dataOffset();
        // Map and flog must be what the device has: a sync that failed under an earlier process may
        // have left newer words in memory, which would be gone one day.
        medium.refresh(base + info.mapOffset(), info.infoOffset() - info.mapOffset());
        this.map = new BlockMap(medium, base + info.mapOffset(), info.externalNlba());
        this.flog =
                Flog.recover(medium, base + info.flogOffset(), laneCount, map, info.internalNlba());
        for (int i = 0; i < EDIT_LOCK_COUNT; i++) {
            editLocks[i] = new Object();
        }
        this.written = new WrittenPages(info.externalNlba());
        if (info.error()) {
            failure = refusal("its error flag is set", null);
        } else if (flog.brokenLane() >= 0) {
            failure = refusal("the flog of lane " + flog.brokenLane() + " is damaged", null);
        }
    }

    /** Which of the table's arenas this is, from 0. */
    int index() {
        return index;
    }

    int blockCount() {
        return info.externalNlba();
    }

    BlockMap map() {
        return map;
    }

    Flog flog() {
        return flog;
    }

    WrittenPages written() {
        return written;
    }

    /** Why changes are refused, or null if they are not. */
    @Nullable String failureReason() {
        ArenaFailedException refused = failure;
        return refused == null ? null : refused.getMessage();
    }

    /**
     * Fills {@code target} with the bytes from {@code offset} of a block on, up to the end of the
     * block, or of the last of those that follow it and lie behind it on the medium, too.
     *
     * @return how many bytes that are; 0 if the block is in the error state, with nothing read
     */
    long read(int premapLba, int offset, MemorySegment target) throws IOException {
        while (true) {
            int entry = map.get(premapLba);
            if (MapEntry.isError(entry)) {
                return 0;
            }
            if (!MapEntry.isNormal(entry)) {
                return zeroes(offset, target);
            }
            long source = postmapOffset(premapLba, entry) + offset;
            int count = neighbourCount(premapLba, entry, offset + target.byteSize());
            int slot = readers.enter(MapEntry.postmapLba(entry), count);
            try {
                if (areNeighbours(premapLba, entry, count)) {
                    MemorySegment part = inBlocks(count, offset, target);
                    medium.read(source, part);
                    return part.byteSize();
                }
            } finally {
                readers.leave(slot);
            }
        }
    }

    /**
     * Reads as {@link #read} does if that takes no waiting, and if the block is not in the error
     * state; else returns 0, and {@code target} may hold some of the bytes.
     */
    long readNow(int premapLba, int offset, MemorySegment target) throws IOException {
        if (!map.isAtHand(premapLba)) {
            return 0;
        }
        int entry = map.get(premapLba);
        if (MapEntry.isError(entry)) {
            return 0;
        }
        if (!MapEntry.isNormal(entry)) {
            return zeroes(offset, target);
        }
        long source = postmapOffset(premapLba, entry) + offset;
        int count = neighbourCount(premapLba, entry, offset + target.byteSize());
        int slot = readers.tryEnter(MapEntry.postmapLba(entry), count);
        if (slot < 0) {
            return 0;
        }
        try {
            MemorySegment part = inBlocks(count, offset, target);
            boolean done = areNeighbours(premapLba, entry, count) && medium.readNow(source, part);
            return done ? part.byteSize() : 0;
        } finally {
            readers.leave(slot);
        }
    }

    private long zeroes(int offset, MemorySegment target) {
        MemorySegment part = inBlocks(1, offset, target);
        part.fill((byte) 0);
        return part.byteSize();
    }

    /** The part of {@code target} that is for so many blocks, of which it begins in the first. */
    private MemorySegment inBlocks(int count, int offset, MemorySegment target) {
        long length = (long) count * info.externalLbaSize() - offset;
        return target.asSlice(0, Math.min(length, target.byteSize()));
    }

    /**
     * How many blocks lie in a row on the medium from the one with this entry on, as far as their
     * entries are at hand.
     *
     * @param byteCount from the beginning of the block on, beyond which none matters
     */
    private int neighbourCount(int premapLba, int entry, long byteCount) throws IOException {
        int blockSize = info.externalLbaSize();
        int most = blockSize == info.internalLbaSize() ? MAX_NEIGHBOURS : 1;
        most = Math.min(most, info.externalNlba() - premapLba);
        most = Math.min(most, info.internalNlba() - MapEntry.postmapLba(entry));
        int count = 1;
        while (count < most
                && (long) count * blockSize < byteCount
                && map.isAtHand(premapLba + count)
                && map.get(premapLba + count) == entry + count) {
            count++;
        }
        return count;
    }

    /** Whether so many blocks lie in a row, the first one where the entry says. */
    private boolean areNeighbours(int premapLba, int entry, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            if (map.get(premapLba + i) != entry + i) {
                return false;
            }
        }
        return true;
    }

    /** Says that a block will soon be read, if there is a place where it lies. */
    void touch(int premapLba) throws IOException {
        int entry = map.get(premapLba);
        if (MapEntry.isNormal(entry)) {
            medium.touch(postmapOffset(premapLba, entry) & -Integer.BYTES);
        }
    }

    /**
     * Sees that a block can be replaced, as far as its map entry tells.
     *
     * @throws IOException if the entry cannot be read, or names no block
     */
    void requireReplaceable(int premapLba) throws IOException {
        ownedBlock(premapLba);
    }

    /** Whether a block reads as zeroes because it was zeroed or never written. */
    boolean readsAsZeroes(int premapLba) throws IOException {
        return MapEntry.readsAsZeroes(map.get(premapLba));
    }

    /** Replaces a block, whatever its state; {@code source} is a whole one. */
    void write(int premapLba, MemorySegment source) throws IOException {
        refuseIfFailed();
        int lane = path.tryTakeLane();
        if (lane < 0) {
            if (fill(premapLba, source) > 0) {
                return;
            }
            lane = path.takeLane();
        }
        boolean done = true;
        try {
            int free = fillFreeBlock(lane, source);
            Lock lock = map.lock(premapLba);
            lock.lock();
            try {
                done = swap(lane, premapLba, free);
            } finally {
                lock.unlock();
            }
            written.add(premapLba);
        } finally {
            if (done) {
                giveLane(lane);
            }
        }
    }

    /**
     * Replaces blocks in a row by the whole blocks in {@code source}, by one write and without a
     * lane, as far as they read as zeroes and what they own lies in a row on the medium.
     *
     * @return how many bytes of {@code source} were written, maybe 0
     */
    long fill(int firstPremapLba, MemorySegment source) throws IOException {
        Filling filling = path.filling();
        if (filling == null) {
            return 0;
        }
        int blockSize = info.externalLbaSize();
        int wanted = (int) Math.min(source.byteSize() / blockSize, MAX_FILLED);
        wanted =
                BlockMap.rangeFrom(firstPremapLba, Math.min(wanted, blockCount() - firstPremapLba));
        map.lockRange(firstPremapLba, wanted);
        try {
            refuseIfFailed();
            int fillable = filling.fillable(this, firstPremapLba, wanted);
            if (fillable == 0) {
                return 0;
            }
            int owned = ownedBlock(firstPremapLba);
            int count = ownedInRow(firstPremapLba, fillable);
            // Not waited for: a reader may be about to take one of the locks.
            if (readers.areRead(owned, count)) {
                return 0;
            }
            // A full file system fails this request, and not the commit that stores the entries.
            map.reserve(firstPremapLba, count);
            MemorySegment part = source.asSlice(0, (long) count * blockSize);
            long offset = dataOffset + (long) owned * info.internalLbaSize();
            medium.write(offset, part);
            refuseIfFailed();
            filling.filled(this, firstPremapLba, count, owned);
            return part.byteSize();
        } finally {
            map.unlockRange(firstPremapLba, wanted);
        }
    }

    /** How many blocks from the first on own blocks in a row. */
    private int ownedInRow(int firstPremapLba, int most) throws IOException {
        if (info.externalLbaSize() != info.internalLbaSize()) {
            return 1;
        }
        int first = ownedBlock(firstPremapLba);
        int count = 1;
        while (count < most && ownedBlock(firstPremapLba + count) == first + count) {
            count++;
        }
        return count;
    }

    private int ownedBlock(int premapLba) throws IOException {
        int entry = MapEntry.explicit(map.stored(premapLba), premapLba);
        postmapOffset(premapLba, entry);
        return MapEntry.postmapLba(entry);
    }

    /** Gives a lane back, unless the arena failed: then nobody knows what its pair says. */
    void giveLane(int lane) {
        if (failure == null) {
            path.giveLane(lane);
        }
    }

    /**
     * Replaces the bytes of a block from {@code offset} on, and atomically so against all else: the
     * swap goes ahead only if the map entry is still the one whose block was read. That block stays
     * announced, and so cannot come back under the same entry with other bytes.
     *
     * @param scratch native memory of a block's size
     * @return false if the block is in the error state, with nothing changed
     */
    boolean edit(int premapLba, int offset, MemorySegment source, MemorySegment scratch)
            throws IOException {
        refuseIfFailed();
        int lane = path.takeLane();
        Edit outcome = Edit.FAILED;
        try {
            readers.awaitUnread(flog.freeBlock(lane));
            // Edits of one block take turns, else each would undo the reading of all others.
            synchronized (editLocks[premapLba % EDIT_LOCK_COUNT]) {
                do {
                    outcome = tryEdit(lane, premapLba, offset, source, scratch);
                } while (outcome == Edit.OVERTAKEN);
            }
        } finally {
            if (outcome != Edit.HELD) {
                giveLane(lane);
            }
        }
        written.add(premapLba);
        return outcome != Edit.ERROR_BLOCK;
    }

    /**
     * Moves a block that holds data to the free block of a lane, which the caller has taken; not if
     * somebody changes it meanwhile, nor if to read it takes waiting for a device.
     *
     * @param scratch native memory of a block's size
     * @return {@link Edit#DONE}, {@link Edit#HELD}, or {@link Edit#OVERTAKEN} if not
     */
    Edit move(int lane, int premapLba, MemorySegment scratch) throws IOException {
        refuseIfFailed();
        // Waited for before this reader is announced, as in an edit: others may wait for it.
        readers.awaitUnread(flog.freeBlock(lane));
        int entry = map.get(premapLba);
        if (!MapEntry.isNormal(entry)) {
            return Edit.OVERTAKEN;
        }
        long old = postmapOffset(premapLba, entry);
        requireNotFree(lane, premapLba, entry);
        int slot = readers.enter(MapEntry.postmapLba(entry), 1);
        try {
            if (map.get(premapLba) != entry || !medium.readNow(old, scratch)) {
                return Edit.OVERTAKEN;
            }
            return swapEdited(lane, premapLba, entry, scratch);
        } finally {
            readers.leave(slot);
        }
    }

    /** What became of an attempt to edit or to move a block. */
    enum Edit {
        DONE,
        /** Done, and the lane is held. */
        HELD,
        /** The block changed meanwhile. */
        OVERTAKEN,
        ERROR_BLOCK,
        FAILED
    }

    private Edit tryEdit(
            int lane, int premapLba, int offset, MemorySegment source, MemorySegment scratch)
            throws IOException {
        int entry = map.get(premapLba);
        if (MapEntry.isError(entry)) {
            return Edit.ERROR_BLOCK;
        }
        if (!MapEntry.isNormal(entry)) {
            scratch.fill((byte) 0);
            MemorySegment.copy(source, 0, scratch, offset, source.byteSize());
            return swapEdited(lane, premapLba, entry, scratch);
        }
        long old = postmapOffset(premapLba, entry);
        requireNotFree(lane, premapLba, entry);
        int slot = readers.enter(MapEntry.postmapLba(entry), 1);
        try {
            if (map.get(premapLba) != entry) {
                return Edit.OVERTAKEN;
            }
            medium.read(old, scratch);
            MemorySegment.copy(source, 0, scratch, offset, source.byteSize());
            return swapEdited(lane, premapLba, entry, scratch);
        } finally {
            readers.leave(slot);
        }
    }

    /**
     * Sees that a block that is to be read does not lie where its new content is to be put: on a
     * damaged medium the reader would wait for itself.
     */
    private void requireNotFree(int lane, int premapLba, int entry) throws IOException {
        int free = flog.freeBlock(lane);
        if (MapEntry.postmapLba(entry) == free) {
            throw new IOException(
                    ("arena %d: map entry of block %d names block %d, which is the free one of lane"
                                    + " %d; stop, and check the pool")
                            .formatted(index, premapLba, free, lane));
        }
    }

    private Edit swapEdited(int lane, int premapLba, int entry, MemorySegment content)
            throws IOException {
        int free = fillFreeBlock(lane, content);
        Lock lock = map.lock(premapLba);
        lock.lock();
        try {
            if (map.get(premapLba) != entry) {
                return Edit.OVERTAKEN;
            }
            return swap(lane, premapLba, free) ? Edit.DONE : Edit.HELD;
        } finally {
            lock.unlock();
        }
    }

    private int fillFreeBlock(int lane, MemorySegment source) throws IOException {
        int free = flog.freeBlock(lane);
        readers.awaitUnread(free);
        long offset = dataOffset + (long) free * info.internalLbaSize();
        medium.write(offset, source);
        path.dataWritten(offset, source.byteSize());
        return free;
    }

    /** Makes {@code free} the block's content, under the map's lock; true if the lane is done. */
    private boolean swap(int lane, int premapLba, int free) throws IOException {
        int oldEntry = MapEntry.explicit(map.stored(premapLba), premapLba);
        postmapOffset(premapLba, oldEntry);
        refuseIfFailed();
        // A full file system fails this request, and not the commit that will store the entry.
        map.reserve(premapLba, 1);
        try {
            return path.swap(this, lane, premapLba, oldEntry, free);
        } catch (IOException | RuntimeException | Error e) {
            failure =
                    refusal(
                            "a write of its block %d failed half-way: %s"
                                    .formatted(premapLba, e.getMessage()),
                            e);
            throw e;
        }
    }

    /** Makes blocks read as zeroes, by one store each. */
    void zero(int firstPremapLba, int count) throws IOException {
        for (int done = 0; done < count; ) {
            int first = firstPremapLba + done;
            int rangeCount = BlockMap.rangeFrom(first, count - done);
            done += zeroRange(first, rangeCount);
        }
    }

    /** Zeroes a range, or the part of it before a block that is being committed. */
    private int zeroRange(int first, int count) throws IOException {
        int done = 0;
        map.lockRange(first, count);
        try {
            refuseIfFailed();
            int[] entries = new int[Math.min(count, MAX_STORED)];
            while (done < count && path.mayStore(this, first + done)) {
                done += isZeroed(first + done) ? 1 : zeroRun(first + done, count - done, entries);
            }
        } finally {
            map.unlockRange(first, count);
        }
        if (done < count) {
            path.flush();
        }
        return done;
    }

    private boolean isZeroed(int premapLba) throws IOException {
        return MapEntry.readsAsZeroes(map.stored(premapLba)) && !map.isPending(premapLba);
    }

    /**
     * Zeroes the first of some blocks, and those that follow it up to one that is zeroed already or
     * being committed. What is stored is accounted for at once: another page may fail to be read.
     *
     * @param entries room for those that are stored at once
     */
    private int zeroRun(int first, int count, int[] entries) throws IOException {
        int most = Math.min(BlockMap.inPageFrom(first, count), entries.length);
        int done = 0;
        do {
            int entry = map.stored(first + done);
            entries[done++] = MapEntry.readsAsZeroes(entry) ? entry : MapEntry.zero(entry);
        } while (done < most && !isZeroed(first + done) && path.mayStore(this, first + done));
        map.setAll(first, entries, done);
        path.stored(this, first, done);
        return done;
    }

    /** Puts a block into the error state, in which it cannot be read until it is written. */
    void setError(int premapLba) throws IOException {
        Lock lock = map.lock(premapLba);
        while (true) {
            lock.lock();
            try {
                refuseIfFailed();
                if (path.mayStore(this, premapLba)) {
                    int entry = MapEntry.explicit(map.stored(premapLba), premapLba);
                    map.set(premapLba, MapEntry.error(entry));
                    path.stored(this, premapLba, 1);
                    return;
                }
            } finally {
                lock.unlock();
            }
            path.flush();
        }
    }

    private void refuseIfFailed() throws IOException {
        path.requireSound();
        ArenaFailedException refused = failure;
        if (refused != null) {
            throw new ArenaFailedException(String.valueOf(refused.getMessage()), refused);
        }
    }

    private ArenaFailedException refusal(String reason, @Nullable Throwable cause) {
        return new ArenaFailedException("arena " + index + " takes no changes: " + reason, cause);
    }

    /** Where the block of an entry lies on the medium; the medium is not trusted to name one. */
    private long postmapOffset(int premapLba, int entry) throws IOException {
        int postmapLba = MapEntry.postmapLba(entry);
        if (postmapLba >= info.internalNlba()) {
            throw new IOException(
                    ("arena %d: map entry of block %d names block %d, there are %d;"
                                    + " stop, and check the pool")
                            .formatted(index, premapLba, postmapLba, info.internalNlba()));
        }
        return dataOffset + (long) postmapLba * info.internalLbaSize();
    }
}
