package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.Lock;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.Medium;

/**
 * One arena: reads, writes and zeroes its blocks, each of them atomically.
 *
 * <p>Blocks are numbered as premap LBAs here, below {@link #blockCount}. Thread-safe; a lane passed
 * in belongs to the caller. Once a swap has failed half-way, or where the medium says that the
 * arena is in error, all changes are refused with an {@link ArenaFailedException} and reads go on:
 * what is true of the interrupted block is for recovery to find out at the next open.
 */
final class BttArena {
    private static final int EDIT_LOCK_COUNT = 64;

    private final Medium medium;
    private final String name;
    private final InfoBlock info;
    private final long dataOffset;
    private final BlockMap map;
    private final Flog flog;
    private final ReadTracking readers = new ReadTracking();
    private final Object[] editLocks = new Object[EDIT_LOCK_COUNT];

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
    BttArena(Medium medium, String name, long base, InfoBlock info, int laneCount)
            throws IOException {
        this.medium = medium;
        this.name = name;
        this.info = info;
        this.dataOffset = base + info.dataOffset();
        this.map = new BlockMap(medium, base + info.mapOffset(), info.externalNlba());
        this.flog =
                Flog.recover(medium, base + info.flogOffset(), laneCount, map, info.internalNlba());
        for (int i = 0; i < EDIT_LOCK_COUNT; i++) {
            editLocks[i] = new Object();
        }
        if (info.error()) {
            failure = refusal("its error flag is set", null);
        } else if (flog.brokenLane() >= 0) {
            failure = refusal("the flog of lane " + flog.brokenLane() + " is damaged", null);
        }
    }

    int blockCount() {
        return info.externalNlba();
    }

    /** Why changes are refused, or null if they are not. */
    @Nullable String failureReason() {
        ArenaFailedException refused = failure;
        return refused == null ? null : refused.getMessage();
    }

    /**
     * Fills {@code target} with the bytes of a block from {@code offset} on.
     *
     * @return false if the block is in the error state, with nothing read
     */
    boolean read(int premapLba, int offset, MemorySegment target) throws IOException {
        while (true) {
            int entry = map.get(premapLba);
            if (MapEntry.isError(entry)) {
                return false;
            }
            if (!MapEntry.isNormal(entry)) {
                target.fill((byte) 0);
                return true;
            }
            long source = postmapOffset(premapLba, entry) + offset;
            int slot = readers.enter(MapEntry.postmapLba(entry));
            try {
                if (map.get(premapLba) == entry) {
                    medium.read(source, target);
                    return true;
                }
            } finally {
                readers.leave(slot);
            }
        }
    }

    /** Whether a block reads as zeroes because it was zeroed or never written. */
    boolean readsAsZeroes(int premapLba) throws IOException {
        return MapEntry.readsAsZeroes(map.get(premapLba));
    }

    /** Replaces a block, whatever its state; {@code source} is a whole one. */
    void write(int lane, int premapLba, MemorySegment source) throws IOException {
        refuseIfFailed();
        int free = fillFreeBlock(lane, source);
        Lock lock = map.lock(premapLba);
        lock.lock();
        try {
            swap(lane, premapLba, map.get(premapLba), free);
        } finally {
            lock.unlock();
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
    boolean edit(int lane, int premapLba, int offset, MemorySegment source, MemorySegment scratch)
            throws IOException {
        refuseIfFailed();
        readers.awaitUnread(flog.freeBlock(lane));
        // Edits of one block take turns, else each would undo the reading of all others.
        synchronized (editLocks[premapLba % EDIT_LOCK_COUNT]) {
            while (true) {
                int entry = map.get(premapLba);
                if (MapEntry.isError(entry)) {
                    return false;
                }
                if (tryEdit(lane, premapLba, entry, offset, source, scratch)) {
                    return true;
                }
            }
        }
    }

    private boolean tryEdit(
            int lane,
            int premapLba,
            int entry,
            int offset,
            MemorySegment source,
            MemorySegment scratch)
            throws IOException {
        if (!MapEntry.isNormal(entry)) {
            scratch.fill((byte) 0);
            return swapEdited(lane, premapLba, entry, offset, source, scratch);
        }
        long old = postmapOffset(premapLba, entry);
        int slot = readers.enter(MapEntry.postmapLba(entry));
        try {
            if (map.get(premapLba) != entry) {
                return false;
            }
            medium.read(old, scratch);
            return swapEdited(lane, premapLba, entry, offset, source, scratch);
        } finally {
            readers.leave(slot);
        }
    }

    private boolean swapEdited(
            int lane,
            int premapLba,
            int entry,
            int offset,
            MemorySegment source,
            MemorySegment scratch)
            throws IOException {
        MemorySegment.copy(source, 0, scratch, offset, source.byteSize());
        int free = fillFreeBlock(lane, scratch);
        Lock lock = map.lock(premapLba);
        lock.lock();
        try {
            if (map.get(premapLba) != entry) {
                return false;
            }
            swap(lane, premapLba, entry, free);
            return true;
        } finally {
            lock.unlock();
        }
    }

    private int fillFreeBlock(int lane, MemorySegment source) throws IOException {
        int free = flog.freeBlock(lane);
        readers.awaitUnread(free);
        long offset = dataOffset + (long) free * info.internalLbaSize();
        medium.write(offset, source);
        medium.persist(offset, source.byteSize());
        return free;
    }

    /** Makes {@code free}, which is durable, the block that the map names; under the map's lock. */
    private void swap(int lane, int premapLba, int entry, int free) throws IOException {
        postmapOffset(premapLba, MapEntry.explicit(entry, premapLba));
        refuseIfFailed();
        try {
            int newEntry = MapEntry.normal(free);
            flog.log(lane, premapLba, MapEntry.explicit(entry, premapLba), newEntry);
            map.set(premapLba, newEntry);
            map.persist(premapLba, 1);
        } catch (IOException | RuntimeException | Error e) {
            failure = refusal("a write of its block " + premapLba + " failed half-way", e);
            throw e;
        }
    }

    /** Makes blocks read as zeroes; one store a block, one persist for up to 4096 of them. */
    void zero(int firstPremapLba, int count) throws IOException {
        for (int done = 0; done < count; ) {
            int first = firstPremapLba + done;
            int rangeCount = BlockMap.rangeFrom(first, count - done);
            zeroRange(first, rangeCount);
            done += rangeCount;
        }
    }

    private void zeroRange(int first, int count) throws IOException {
        map.lockRange(first, count);
        try {
            refuseIfFailed();
            boolean changed = false;
            for (int lba = first; lba < first + count; lba++) {
                int entry = map.get(lba);
                if (!MapEntry.readsAsZeroes(entry)) {
                    map.set(lba, MapEntry.zero(entry));
                    changed = true;
                }
            }
            if (changed) {
                map.persist(first, count);
            }
        } finally {
            map.unlockRange(first, count);
        }
    }

    /** Puts a block into the error state, in which it cannot be read until it is written. */
    void setError(int premapLba) throws IOException {
        Lock lock = map.lock(premapLba);
        lock.lock();
        try {
            refuseIfFailed();
            int entry = MapEntry.explicit(map.get(premapLba), premapLba);
            map.set(premapLba, MapEntry.error(entry));
            map.persist(premapLba, 1);
        } finally {
            lock.unlock();
        }
    }

    private void refuseIfFailed() throws ArenaFailedException {
        ArenaFailedException refused = failure;
        if (refused != null) {
            throw new ArenaFailedException(String.valueOf(refused.getMessage()), refused);
        }
    }

    private ArenaFailedException refusal(String reason, @Nullable Throwable cause) {
        return new ArenaFailedException(name + " takes no changes: " + reason, cause);
    }

    /** Where the block of an entry lies on the medium; the medium is not trusted to name one. */
    private long postmapOffset(int premapLba, int entry) throws IOException {
        int postmapLba = MapEntry.postmapLba(entry);
        if (postmapLba >= info.internalNlba()) {
            throw new IOException(
                    "%s: map entry of block %d names block %d, there are %d"
                            .formatted(name, premapLba, postmapLba, info.internalNlba()));
        }
        return dataOffset + (long) postmapLba * info.internalLbaSize();
    }
}
