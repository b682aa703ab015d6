package pmemblk.nbd.server;

import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
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
    private final Set<TransmissionHandler> sessions = ConcurrentHashMap.newKeySet();
    private final AtomicInteger sessionCount = new AtomicInteger();
    private final int maxSessions;
    private final int pollMicros;
    private final FailureLog failures;

    /**
     * Nobody uses it yet.
     *
     * @param maxSessions that may use it at the same time
     * @param pollMicros how long its threads may look for what is to be done next, if at all
     */
    ServedExport(String name, Export export, int threadCount, int maxSessions, int pollMicros) {
        this(name, export, newThreads(name, threadCount), maxSessions, pollMicros);
    }

    ServedExport(
            String name,
            Export export,
            ThreadPoolExecutor threads,
            int maxSessions,
            int pollMicros) {
        this.name = name;
        this.export = export;
        this.threads = threads;
        this.maxSessions = maxSessions;
        this.pollMicros = pollMicros;
        this.failures = new FailureLog(name);
    }

    private static ThreadPoolExecutor newThreads(String name, int count) {
        ThreadPoolExecutor threads =
                new ThreadPoolExecutor(
                        count,
                        count,
                        IDLE_SECONDS,
                        TimeUnit.SECONDS,
                        new LinkedBlockingQueue<>(),
                        new DefaultThreadFactory("nbd-io-" + name, true));
        threads.allowCoreThreadTimeOut(true);
        return threads;
    }

    /**
     * Threads for one connection, which leaves most of them to others: requests of one client that
     * all wait for a slow device do not hold up the next client's.
     */
    Executor threadsOfConnection() {
        return new BoundedExecutor(threads, Math.max(1, threads.getMaximumPoolSize() / 4));
    }

    /**
     * Ends dead sessions; completes once nothing that they asked for can take effect any more. A
     * client that lost its connection sends again on a new one what was not answered, and then goes
     * on: an old write must not come after a newer one.
     */
    CompletableFuture<Void> fence() {
        List<CompletableFuture<Boolean>> ends =
                sessions.stream().map(TransmissionHandler::endIfDead).toList();
        return CompletableFuture.allOf(ends.toArray(CompletableFuture[]::new))
                .thenCompose(
                        // Others may have died meanwhile.
                        all ->
                                ends.stream().anyMatch(CompletableFuture::join)
                                        ? fence()
                                        : CompletableFuture.completedFuture(null));
    }

    /** How long a thread may look for what is to be done next; 0 if it is not to. */
    int pollMicros() {
        return pollMicros;
    }

    FailureLog failures() {
        return failures;
    }

    /** Takes a place for a session that begins now, and gives it back when it ends. */
    boolean claimPlace() {
        int count = sessionCount.get();
        while (count < maxSessions) {
            if (sessionCount.compareAndSet(count, count + 1)) {
                return true;
            }
            count = sessionCount.get();
        }
        return false;
    }

    /** A session begins that has claimed its place. */
    void sessionBegins(TransmissionHandler session) {
        sessions.add(session);
    }

    /**
     * A session has ended, and all that it asked for. What the last one leaves behind becomes
     * durable: nobody may flush it.
     */
    void sessionEnds(TransmissionHandler session) {
        sessions.remove(session);
        if (sessionCount.decrementAndGet() == 0) {
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
        } catch (IllegalStateException e) {
            LOG.debug("export '{}' was closed before, which flushes, too", name, e);
        }
    }

    /** Lets the threads end once what they were given is done. */
    void shutdown() {
        threads.shutdown();
    }
}
