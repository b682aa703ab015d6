package pmemblk.pool;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts the operations under way on a pool, so that closing waits for the last of them: after it a
 * mapping is gone, and a file descriptor's number may be another file's.
 */
final class Operations {
    private static final long CLOSED = Long.MIN_VALUE;

    /** The operations under way, plus {@link #CLOSED} once none may begin. */
    private final AtomicLong state = new AtomicLong();

    /** Whether an operation began since this was last cleared. */
    private volatile boolean used;

    /** Begins an operation, which ends with {@link #end}. */
    void begin() {
        if (state.getAndIncrement() < 0) {
            end();
            throw new IllegalStateException("the pool is closed");
        }
        if (!used) {
            used = true;
        }
    }

    /** Whether none is under way, nor has begun since {@link #forgetUse}, and more may begin. */
    boolean areIdle() {
        return !used && state.get() == 0;
    }

    /** Forgets all use before, but of those that are under way. */
    void forgetUse() {
        used = false;
        if (state.get() != 0) {
            used = true;
        }
    }

    void end() {
        if (state.decrementAndGet() == CLOSED) {
            synchronized (this) {
                notifyAll();
            }
        }
    }

    /** Lets no more begin and waits for the others; false if that was done before. */
    synchronized boolean close() {
        if (state.getAndUpdate(count -> count | CLOSED) < 0) {
            return false;
        }
        boolean interrupted = false;
        while (state.get() != CLOSED) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return true;
    }
}
