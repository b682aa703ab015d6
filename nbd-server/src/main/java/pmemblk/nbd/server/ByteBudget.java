package pmemblk.nbd.server;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.function.LongConsumer;

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

    private record Waiter(long bytes, LongConsumer wake) {}

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
     * @param wake gets the bytes, from whoever gives some back, if there are not enough now
     * @return whether there were enough
     */
    synchronized boolean take(long bytes, LongConsumer wake) {
        if (line.isEmpty() && used + bytes <= limit) {
            used += bytes;
            return true;
        }
        line.add(new Waiter(bytes, wake));
        return false;
    }

    void give(long bytes) {
        for (Waiter waiter : giveAndServe(bytes)) {
            waiter.wake.accept(waiter.bytes);
        }
    }

    private synchronized List<Waiter> giveAndServe(long bytes) {
        used -= bytes;
        if (line.isEmpty()) {
            return List.of();
        }
        List<Waiter> served = new ArrayList<>(1);
        for (Waiter next = line.peek(); next != null; next = line.peek()) {
            if (used + next.bytes > limit) {
                break;
            }
            used += next.bytes;
            served.add(line.remove());
        }
        return served;
    }

    /** Whether somebody waits for bytes. */
    synchronized boolean isShort() {
        return !line.isEmpty();
    }

    synchronized long used() {
        return used;
    }
}
