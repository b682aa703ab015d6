package pmemblk.pool;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A thread that sees to a pool now and then, until it is stopped. */
abstract class BackgroundThread {
    private static final Logger LOG = LoggerFactory.getLogger(BackgroundThread.class);

    private final Thread thread;

    /** Set under this object's monitor. */
    private volatile boolean stopping;

    BackgroundThread(String name) {
        this.thread = Thread.ofPlatform().daemon().name(name).unstarted(this::run);
    }

    /**
     * Does what is due, on this thread; returns in how many nanoseconds there may be more.
     *
     * @throws IOException if there will be no more, for a reason that is told of elsewhere
     */
    abstract long step() throws IOException;

    void start() {
        thread.start();
    }

    /** Whether {@link #step} should come to an end. */
    boolean isStopping() {
        return stopping;
    }

    private void run() {
        try {
            long wait;
            do {
                wait = step();
            } while (waitUnlessStopping(wait));
        } catch (IOException e) {
            LOG.debug("{} ends", thread.getName(), e);
        } catch (InterruptedException | RuntimeException | Error e) {
            LOG.error("{} failed", thread.getName(), e);
        }
    }

    private synchronized boolean waitUnlessStopping(long nanos) throws InterruptedException {
        long end = System.nanoTime() + nanos;
        for (long left = nanos; !stopping && left > 0; left = end - System.nanoTime()) {
            TimeUnit.NANOSECONDS.timedWait(this, left);
        }
        return !stopping;
    }

    /** Stops it; returns once no step is under way. */
    void stop() {
        synchronized (this) {
            stopping = true;
            notifyAll();
        }
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
