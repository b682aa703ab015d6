package pmemblk.nbd.server;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.Request;

/**
 * The brief writes of one connection that may wait for a device, and seldom do: one I/O thread at a
 * time takes all that have come, and asks for one flush for those that want one. Waking a thread
 * for each would cost more than the writes do. Thread-safe.
 */
final class BriefWrites {
    /** Bytes of a write, at most. */
    private static final int BRIEF = 32 << 10;

    /** Writes in a turn, at most: the flush is not to wait for ever, nor are other requests. */
    private static final int PER_TURN = 64;

    /** So many writes that ask for a flush are worth a head start for the device. */
    private static final int HEAD_START = 4;

    /** What comes back after a flush takes longer to come than what an event loop looks for. */
    private static final int LOOK_FACTOR = 2;

    private static final int LONGEST_BACK_OFF = 63;

    private final RequestRunner runner;
    private final Executor ioThreads;
    private final Queue<IoTask> waiting = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean hasTurn = new AtomicBoolean();

    /** How long a thread looks for the next writes, after those that it has dealt with. */
    private final long lookNanos;

    /** Whether a thread looks, and takes what comes without being woken. */
    private final AtomicBoolean looking = new AtomicBoolean();

    // Of who looks: how many looks were left out after the last one in vain, and how many are left.
    private int backOff;

    private int unlooked;

    /**
     * None yet.
     *
     * @param pollMicros how long a thread may look for more; 0 if it is not to
     */
    BriefWrites(RequestRunner runner, Executor ioThreads, int pollMicros) {
        this.runner = runner;
        this.ioThreads = ioThreads;
        this.lookNanos = LOOK_FACTOR * TimeUnit.MICROSECONDS.toNanos(pollMicros);
    }

    static boolean include(Request request) {
        return request.command() == Command.WRITE && request.length() <= BRIEF;
    }

    void add(IoTask write) {
        waiting.add(write);
        if (!looking.get()) {
            beginTurn();
        }
    }

    private void beginTurn() {
        if (!waiting.isEmpty() && hasTurn.compareAndSet(false, true)) {
            ioThreads.execute(this::takeTurns);
        }
    }

    private void takeTurns() {
        do {
            takeTurn();
        } while (findMore());
    }

    /**
     * Looks for the writes of clients who come back as soon as they are served, by way of the event
     * loop and of the clients themselves; less often, where none comes. Returns whether it is this
     * thread's turn again.
     */
    @SuppressWarnings("ThreadPriorityCheck") // nothing relies on it
    private boolean findMore() {
        if (lookNanos == 0 || !looking.compareAndSet(false, true)) {
            return false;
        }
        int left = unlooked;
        unlooked = Math.max(0, left - 1);
        long start = System.nanoTime();
        while (left == 0 && waiting.isEmpty() && System.nanoTime() - start < lookNanos) {
            Thread.yield();
        }
        if (left == 0) {
            backOff = waiting.isEmpty() ? Math.min(2 * backOff + 1, LONGEST_BACK_OFF) : 0;
            unlooked = backOff;
        }
        looking.set(false);
        // Whoever found somebody looking has left his writes to him.
        return !waiting.isEmpty() && hasTurn.compareAndSet(false, true);
    }

    private void takeTurn() {
        List<IoTask> unflushed = new ArrayList<>();
        for (int i = 0; i < PER_TURN; i++) {
            IoTask write = waiting.poll();
            if (write == null) {
                break;
            }
            if (write.carryOut()) {
                unflushed.add(write);
                if (unflushed.size() % HEAD_START == 0) {
                    runner.prepareFlush();
                }
            }
        }
        // The next turn is another thread's: this one may stay to flush for all.
        hasTurn.set(false);
        beginTurn();
        if (!unflushed.isEmpty()) {
            runner.flush(unflushed.size())
                    .whenComplete(
                            (none, failure) -> unflushed.forEach(write -> write.flushed(failure)));
        }
    }
}
