package pmemblk.nbd.server;

import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.LongConsumer;

/**
 * What one connection holds of the {@link ByteBudget}: at most so much that others get theirs.
 *
 * <p>Belongs to the connection's event loop. One request at a time may wait for its bytes.
 */
final class ByteShare {
    private final ByteBudget budget;
    private final long limit;
    private final Executor loop;
    private final Runnable admitted;

    /** One for all requests: they are many. */
    private final LongConsumer wake = this::runOnLoop;

    private long held;

    /** Bytes of the request that waits for some of this share to be given back; 0 for none. */
    private long awaited;

    private boolean closed;

    /**
     * A share.
     *
     * @param limit bytes; a request of more is admitted when nothing else is held
     * @param admitted run by the loop when the request that had to wait has its bytes
     */
    ByteShare(ByteBudget budget, long limit, Executor loop, Runnable admitted) {
        this.budget = budget;
        this.limit = limit;
        this.loop = loop;
        this.admitted = admitted;
    }

    /** Takes bytes for a request; false if it has to wait until {@code admitted} is run. */
    boolean take(long bytes) {
        if (bytes == 0) {
            return true;
        }
        if (held > 0 && held + bytes > limit) {
            awaited = bytes;
            return false;
        }
        if (!budget.take(bytes, wake)) {
            return false;
        }
        held += bytes;
        return true;
    }

    void give(long bytes) {
        if (bytes == 0) {
            return;
        }
        held -= bytes;
        budget.give(bytes);
        long waiting = awaited;
        if (waiting > 0 && !closed && (held == 0 || held + waiting <= limit)) {
            awaited = 0;
            if (budget.take(waiting, wake)) {
                runOnLoop(waiting);
            }
        }
    }

    /** Bytes that requests and replies of this connection hold now. */
    long held() {
        return held;
    }

    /** The connection is gone: what is granted from now on is given back. */
    void close() {
        closed = true;
    }

    private void runOnLoop(long bytes) {
        try {
            loop.execute(() -> granted(bytes));
        } catch (RejectedExecutionException ended) {
            // The loop has ended, and the connection with it.
            budget.give(bytes);
        }
    }

    private void granted(long bytes) {
        if (closed) {
            budget.give(bytes);
        } else {
            held += bytes;
            admitted.run();
        }
    }
}
