package pmemblk.nbd.server;

import java.util.function.LongSupplier;

/**
 * Says which of many events of a kind are worth a line in the log: the first, the second, the
 * fourth and so on, and one when none was logged for a minute. Clients could fill the disk with
 * lines otherwise, by doing the same again and again. Thread-safe.
 */
final class LogThrottle {
    private static final long QUIET_NANOS = 60_000_000_000L;

    private final LongSupplier nanoClock;

    /** Guarded by this object's monitor, as the time is. */
    private long count;

    private long loggedAtNanos;

    LogThrottle(LongSupplier nanoClock) {
        this.nanoClock = nanoClock;
    }

    /** The number of the event that has just happened, or 0 if it is not to be logged. */
    synchronized long numberIfDue() {
        count++;
        long now = nanoClock.getAsLong();
        if (Long.bitCount(count) > 1 && now - loggedAtNanos < QUIET_NANOS) {
            return 0;
        }
        loggedAtNanos = now;
        return count;
    }

    /** What to say behind a line with such a number. */
    static String numbered(String event, long number) {
        return number == 1 ? "" : " (%s %d; not every one is logged)".formatted(event, number);
    }
}
