package pmemblk.nbd.server;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * Some of the threads of an executor that others use, too: runs no more than so many tasks at a
 * time and lets the rest wait, so that one who waits for a device leaves threads to the others.
 * Thread-safe.
 */
final class BoundedExecutor implements Executor {
    private final Executor threads;
    private final int limit;

    /** Guarded by this object's monitor, as the line is. */
    private int running;

    private final Queue<Runnable> line = new ArrayDeque<>();

    BoundedExecutor(Executor threads, int limit) {
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
        for (Runnable task = first; task != null; task = next()) {
            task.run();
        }
    }

    private synchronized @Nullable Runnable next() {
        Runnable task = line.poll();
        if (task == null) {
            running--;
        }
        return task;
    }
}
