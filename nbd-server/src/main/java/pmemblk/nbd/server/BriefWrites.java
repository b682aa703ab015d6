package pmemblk.nbd.server;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
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

    private final RequestRunner runner;
    private final Executor ioThreads;
    private final Queue<IoTask> waiting = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean hasTurn = new AtomicBoolean();

    BriefWrites(RequestRunner runner, Executor ioThreads) {
        this.runner = runner;
        this.ioThreads = ioThreads;
    }

    static boolean include(Request request) {
        return request.command() == Command.WRITE && request.length() <= BRIEF;
    }

    void add(IoTask write) {
        waiting.add(write);
        beginTurn();
    }

    private void beginTurn() {
        if (!waiting.isEmpty() && hasTurn.compareAndSet(false, true)) {
            ioThreads.execute(this::takeTurn);
        }
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
