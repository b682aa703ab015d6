package pmemblk.nbd.server;

import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.protocol.Request;

/**
 * Logs what an export fails to do: the first failure, the second, the fourth and so on, and one
 * when none was logged for a minute. Clients could fill the disk with lines otherwise, by asking
 * again and again. Thread-safe.
 */
final class FailureLog {
    private static final Logger LOG = LoggerFactory.getLogger(FailureLog.class);

    private static final long QUIET_NANOS = 60_000_000_000L;

    private final String exportName;
    private final LongSupplier nanoClock;

    /** Guarded by this object's monitor, as the time is. */
    private long count;

    private long loggedAtNanos;

    FailureLog(String exportName, LongSupplier nanoClock) {
        this.exportName = exportName;
        this.nanoClock = nanoClock;
    }

    /** The storage has failed a request, or memory was short. */
    void failed(Request request, Throwable cause) {
        long number = numberIfDue();
        if (number > 0) {
            LOG.warn(
                    "export '{}': {} of {} bytes at {} failed: {}{}",
                    exportName,
                    request.command(),
                    request.length(),
                    request.offset(),
                    cause.getMessage(),
                    numbered(number));
        }
    }

    /** Something failed that should not. */
    void bug(Request request, Throwable cause) {
        long number = numberIfDue();
        if (number > 0) {
            LOG.error(
                    "export '{}': {} of {} bytes at {} failed{}",
                    exportName,
                    request.command(),
                    request.length(),
                    request.offset(),
                    numbered(number),
                    cause);
        }
    }

    private static String numbered(long number) {
        return number == 1 ? "" : " (failure " + number + "; not every one is logged)";
    }

    /** The number of the failure that has just happened, or 0 if it is not to be logged. */
    synchronized long numberIfDue() {
        count++;
        long now = nanoClock.getAsLong();
        if (Long.bitCount(count) > 1 && now - loggedAtNanos < QUIET_NANOS) {
            return 0;
        }
        loggedAtNanos = now;
        return count;
    }
}
