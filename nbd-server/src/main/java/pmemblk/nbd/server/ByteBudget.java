package pmemblk.nbd.server;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;

/**
 * The bytes of requests and replies that all connections together may hold in memory.
 *
 * <p>Bytes are given out in the order of asking, so that no connection starves another.
 * Thread-safe.
 */
final class ByteBudget {
    private final long limit;

    /** Guarded by this object's monitor, as the line is. */
    private long used;

    private final Queue<Waiter> line = new ArrayDeque<>();

    private record Waiter(long bytes, Runnable wake) {}

    /**
     * A budget.
     *
     * @param limit bytes, at least as many as anyone takes at once
     */
    ByteBudget(long limit) {
        this.limit = limit;
    }

    /**
     * Takes bytes, to be {@linkplain #give given back}.
     *
     * @param wake run, by whoever gives some back, if there are none now: the bytes have been taken
     * @return whether there were enough
     */
    synchronized boolean take(long bytes, Runnable wake) {
        if (line.isEmpty() && used + bytes <= limit) {
            used += bytes;
            return true;
        }
        line.add(new Waiter(bytes, wake));
        return false;
    }

    void give(long bytes) {
        for (Waiter waiter : giveAndServe(bytes)) {
            waiter.wake.run();
        }
    }

    private synchronized List<Waiter> giveAndServe(long bytes) {
        used -= bytes;
        List<Waiter> served = new ArrayList<>(0);
        for (Waiter next = line.peek(); next != null; next = line.peek()) {
            if (used + next.bytes > limit) {
                break;
            }
            used += next.bytes;
            served.add(line.remove());
        }
        return served;
    }

    synchronized long used() {
        return used;
    }
}
