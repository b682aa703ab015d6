package pmemblk.pool.btt;

import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/**
 * The postmap blocks of one arena that are being read, so that none is overwritten meanwhile.
 *
 * <p>A reader {@linkplain #enter announces} the blocks in a row that map entries name, looks at the
 * map again, and starts over if an entry changed; then the blocks stay as they are until it
 * {@linkplain #leave leaves}. A writer {@linkplain #awaitUnread waits} until nobody reads its free
 * block. Both sides put a full fence between their store and their look: one of them sees the
 * other. So it is with a slot that is used for the first time, which a writer then looks at, too.
 */
final class ReadTracking {
    private static final long IDLE = 0;

    /** More than threads that read at once; with more of them, readers wait for each other. */
    private static final int SLOT_COUNT = 64;

    /** Slots lie a cache line apart. */
    private static final int STRIDE = 8;

    private static final int SPINS = 200;
    private static final long PAUSE_NANOS = 20_000;

    private static final AtomicInteger THREAD_COUNT = new AtomicInteger();

    /** Numbers the threads that read, the first ones 0, 1, 2 and so on. */
    private static final ThreadLocal<Integer> THREAD_NUMBER =
            ThreadLocal.withInitial(THREAD_COUNT::getAndIncrement);

    /** The first block that is being read, and in the upper half how many there are. */
    private final AtomicLongArray slots = new AtomicLongArray(SLOT_COUNT * STRIDE);

    /** Slots that were ever in use: all below this, as few as there are threads. Only grows. */
    private final AtomicInteger usedCount = new AtomicInteger();

    /**
     * Announces a reader of postmap blocks; returns the slot to {@link #leave}.
     *
     * @param count of blocks, at least 1
     */
    int enter(int postmapLba, int count) {
        int slot = tryEnter(postmapLba, count);
        while (slot < 0) {
            LockSupport.parkNanos(PAUSE_NANOS);
            slot = tryEnter(postmapLba, count);
        }
        return slot;
    }

    /** Announces a reader as {@link #enter} does, but returns -1 if no slot is idle. */
    int tryEnter(int postmapLba, int count) {
        long blocks = (long) count << Integer.SIZE | postmapLba;
        int first = THREAD_NUMBER.get();
        for (int i = 0; i < SLOT_COUNT; i++) {
            int index = Math.floorMod(first + i, SLOT_COUNT);
            if (index >= usedCount.get()) {
                usedCount.accumulateAndGet(index + 1, Math::max);
            }
            int slot = index * STRIDE;
            // The compare-and-set is the full fence before the second look at the map.
            if (slots.getPlain(slot) == IDLE && slots.compareAndSet(slot, IDLE, blocks)) {
                return slot;
            }
        }
        return -1;
    }

    void leave(int slot) {
        slots.setRelease(slot, IDLE);
    }

    /**
     * Whether somebody reads one of so many blocks in a row, which no map entry shows and so no new
     * reader finds.
     */
    boolean areRead(int postmapLba, int blockCount) {
        VarHandle.fullFence();
        int count = usedCount.get();
        for (int i = 0; i < count; i++) {
            if (covers(slots.getAcquire(i * STRIDE), postmapLba, blockCount)) {
                return true;
            }
        }
        return false;
    }

    /** Returns once nobody reads the block, which no map entry shows and so no new reader finds. */
    void awaitUnread(int postmapLba) {
        VarHandle.fullFence();
        int count = usedCount.get();
        for (int i = 0; i < count; i++) {
            for (int spins = 0; covers(slots.getAcquire(i * STRIDE), postmapLba, 1); spins++) {
                if (spins < SPINS) {
                    Thread.onSpinWait();
                } else {
                    LockSupport.parkNanos(PAUSE_NANOS);
                }
            }
        }
    }

    private static boolean covers(long blocks, int postmapLba, int blockCount) {
        int distance = postmapLba - (int) blocks;
        return distance > -blockCount && distance < (int) (blocks >>> Integer.SIZE);
    }
}
