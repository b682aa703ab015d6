package pmemblk.pool;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.btt.CachedTable;

/**
 * Flushes a table when nobody else has for a second, so that no more than that is lost to a power
 * cut.
 */
final class CommitTimer {
    private static final Logger LOG = LoggerFactory.getLogger(CommitTimer.class);
    private static final long PERIOD_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final CachedTable table;
    private final Thread thread;

    /** Guarded by this object's monitor. */
    private boolean stopped;

    CommitTimer(CachedTable table) {
        this.table = table;
        this.thread = Thread.ofPlatform().daemon().name("pmemblk-commit").unstarted(this::run);
    }

    void start() {
        thread.start();
    }

    private void run() {
        try {
            long wait = PERIOD_NANOS;
            while (waitUnlessStopped(wait)) {
                wait = table.flushIfDue(PERIOD_NANOS);
            }
        } catch (IOException e) {
            LOG.debug("the commit timer ends with the commit that failed", e);
        } catch (InterruptedException e) {
            LOG.error("the commit timer was interrupted; writes are held until the next flush");
        } catch (RuntimeException | Error e) {
            LOG.error("the commit timer failed; writes are held until the next flush", e);
        }
    }

    private synchronized boolean waitUnlessStopped(long nanos) throws InterruptedException {
        long end = System.nanoTime() + nanos;
        for (long left = nanos; !stopped && left > 0; left = end - System.nanoTime()) {
            TimeUnit.NANOSECONDS.timedWait(this, left);
        }
        return !stopped;
    }

    /** Stops; returns once no flush of the timer is under way. */
    void stop() {
        synchronized (this) {
            stopped = true;
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
