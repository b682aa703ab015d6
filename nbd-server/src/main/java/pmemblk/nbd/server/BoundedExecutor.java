package pmemblk.nbd.server;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import org.jspecify.annotations.Nullable;

/**
 * Some of the threads of a pool that others use, too: runs no more than so many tasks at a time and
 * lets the rest wait, so that one who waits for a device leaves threads to the others. Whoever has
 * many tasks queues up again after each if others wait for a thread. Thread-safe.
 */
final class BoundedExecutor implements Executor {
    private final ThreadPoolExecutor threads;
    private final int limit;

    /** Guarded by this object's monitor, as the line is. */
    private int running;

    private final Queue<Runnable> line = new ArrayDeque<>();

    BoundedExecutor(ThreadPoolExecutor threads, int limit) {
        this.threads = threads;
        this.limit = limit;
    }

    @Override
    public void execute(Runnable task) {
        synchronized (this) {
            if (running == limit) {
                line.add(task);
                return;
            }
            running++;
        }
        threads.execute(() -> runFrom(task));
    }

    private void runFrom(Runnable first) {
        Runnable task = first;
        do {
            task.run();
            task = next();
        } while (task != null && !queuesUp(task));
    }

    private synchronized @Nullable Runnable next() {
        Runnable task = line.poll();
        if (task == null) {
            running--;
        }
        return task;
    }

    /** Leaves a task to another thread if others wait for this one. */
    private boolean queuesUp(Runnable task) {
        if (threads.getQueue().isEmpty()) {
            return false;
        }
        try {
            threads.execute(() -> runFrom(task));
            return true;
        } catch (RejectedExecutionException shutDown) {
            return false;
        }
    }
}
