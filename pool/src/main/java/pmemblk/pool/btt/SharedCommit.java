package pmemblk.pool.btt;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Callers at the same time share a commit: the first that begins after all of them have come. One
 * of them carries out the next step for all, and the others wait. Thread-safe.
 */
final class SharedCommit {
    /** How far a step has brought those who had asked for a commit before it. */
    enum Progress {
        /** The next step completes their commit. */
        BEGUN,
        /** It is complete, and no step is due. */
        COMPLETE,
        /** It has not begun; the commit before it is complete. */
        PUT_OFF
    }

    /** Commits of two steps each, of which the second may begin the next commit, too. */
    interface Steps {
        /**
         * Completes the commit that the step before has begun, if there is one.
         *
         * @param begin whether to begin one as well
         */
        Progress step(boolean begin) throws IOException;
    }

    /** A caller, by its number, and its turn: it is served, or has to take the steps. */
    private record Waiter(long caller, Condition turn) {}

    private final Steps steps;
    private final Lock lock = new ReentrantLock();

    // All guarded by the lock: those who wait, first come first; and the number of the last caller
    // that came, of the last whose commit has begun, and of the last whose commit is complete.
    private final Queue<Waiter> waiters = new ArrayDeque<>();
    private long came;
    private long begun;
    private long served;

    /** Whether a caller takes steps, until it is served. */
    private boolean led;

    SharedCommit(Steps steps) {
        this.steps = steps;
    }

    /** Returns once a commit is complete that began after this call did. */
    void await() throws IOException {
        lock.lock();
        try {
            long caller = ++came;
            if (led) {
                Waiter waiter = new Waiter(caller, lock.newCondition());
                waiters.add(waiter);
                while (led && served < caller) {
                    waiter.turn.awaitUninterruptibly();
                }
                waiters.remove(waiter);
            }
            if (served < caller) {
                lead(caller);
            }
        } finally {
            lock.unlock();
        }
    }

    private void lead(long caller) throws IOException {
        led = true;
        try {
            while (served < caller) {
                step();
            }
        } finally {
            led = false;
            Waiter next = waiters.peek();
            if (next != null) {
                next.turn.signal();
            }
        }
    }

    private void step() throws IOException {
        boolean begin = came > begun;
        long covered = came;
        Progress progress;
        lock.unlock();
        try {
            progress = steps.step(begin);
        } finally {
            lock.lock();
        }
        served = begun;
        if (begin && progress != Progress.PUT_OFF) {
            begun = covered;
        }
        if (progress == Progress.COMPLETE) {
            served = begun;
        }
        for (Waiter next = waiters.peek();
                next != null && next.caller <= served;
                next = waiters.peek()) {
            waiters.remove();
            next.turn.signal();
        }
    }
}
