package pmemblk.pool.btt;

import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Lends lanes: whoever has taken one owns its flog pair and its free block in every arena until it
 * is given back. Thread-safe; a thread takes one lane at a time, and waits while there is none.
 */
final class Lanes {
    private final int count;
    private final Semaphore idleCount;

    /** A bit for each lane, set while it is idle. */
    private final AtomicLongArray idle;

    Lanes(int count) {
        this.count = count;
        idleCount = new Semaphore(count);
        idle = new AtomicLongArray((count + Long.SIZE - 1) / Long.SIZE);
        for (int lane = 0; lane < count; lane++) {
            idle.set(lane / Long.SIZE, idle.get(lane / Long.SIZE) | 1L << lane);
        }
    }

    int count() {
        return count;
    }

    /** Takes an idle lane; waits until there is one. */
    int take() {
        idleCount.acquireUninterruptibly();
        return takeAny();
    }

    /** Takes an idle lane, or returns -1 if there is none. */
    int tryTake() {
        return idleCount.tryAcquire() ? takeAny() : -1;
    }

    /** Takes this lane, which is idle, while nobody else takes any. */
    void take(int lane) {
        idleCount.acquireUninterruptibly();
        idle.getAndAdd(lane / Long.SIZE, -(1L << lane));
    }

    /** Takes this lane if it is idle. */
    boolean tryTake(int lane) {
        long bit = 1L << lane;
        // Looked at before, lest others find no permit for a lane that is idle.
        if ((idle.get(lane / Long.SIZE) & bit) == 0 || !idleCount.tryAcquire()) {
            return false;
        }
        long before = idle.getAndUpdate(lane / Long.SIZE, lanes -> lanes & ~bit);
        if ((before & bit) == 0) {
            idleCount.release();
            return false;
        }
        return true;
    }

    private int takeAny() {
        // The permit stands for a lane that is idle or about to be marked so.
        for (int i = 0; ; i = (i + 1) % idle.length()) {
            for (long lanes = idle.get(i); lanes != 0; lanes = idle.get(i)) {
                long lane = Long.lowestOneBit(lanes);
                if (idle.compareAndSet(i, lanes, lanes & ~lane)) {
                    return i * Long.SIZE + Long.numberOfTrailingZeros(lane);
                }
            }
        }
    }

    void give(int lane) {
        idle.getAndAdd(lane / Long.SIZE, 1L << lane); // sets its bit, which was clear
        idleCount.release();
    }
}
