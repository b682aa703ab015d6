package pmemblk.nbd.server;

import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.Export;

/**
 * An export while it is served: the threads that wait for its device, and for no other one's, and
 * the sessions that use it. Thread-safe.
 */
final class ServedExport {
    private static final Logger LOG = LoggerFactory.getLogger(ServedExport.class);
    private static final int IDLE_SECONDS = 30;

    private final String name;
    private final Export export;
    private final ThreadPoolExecutor threads;
    private final AtomicInteger sessions = new AtomicInteger();

    ServedExport(String name, Export export, int threadCount) {
        this.name = name;
        this.export = export;
        this.threads =
                new ThreadPoolExecutor(
                        threadCount,
                        threadCount,
                        IDLE_SECONDS,
                        TimeUnit.SECONDS,
                        new LinkedBlockingQueue<>(),
                        new DefaultThreadFactory("nbd-io-" + name, true));
        threads.allowCoreThreadTimeOut(true);
    }

    /**
     * Threads for one connection, which leaves most of them to others: requests of one client that
     * all wait for a slow device do not hold up the next client's.
     */
    Executor threadsOfConnection() {
        return new BoundedExecutor(threads, Math.max(1, threads.getMaximumPoolSize() / 4));
    }

    void sessionBegins() {
        sessions.incrementAndGet();
    }

    /**
     * A session has ended. What the last one leaves behind becomes durable: nobody may flush it.
     */
    void sessionEnds() {
        if (sessions.decrementAndGet() == 0) {
            threads.execute(this::flush);
        }
    }

    private void flush() {
        try {
            export.flush();
        } catch (IOException e) {
            LOG.warn(
                    "export '{}': flush after the last client left failed: {}",
                    name,
                    e.getMessage());
        }
    }

    /** Lets the threads end once what they were given is done. */
    void shutdown() {
        threads.shutdown();
    }
}
