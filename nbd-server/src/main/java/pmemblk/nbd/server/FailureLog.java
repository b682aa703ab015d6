package pmemblk.nbd.server;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.protocol.Request;

/** Logs what an export fails to do, not every time. Thread-safe. */
final class FailureLog {
    private static final Logger LOG = LoggerFactory.getLogger(FailureLog.class);

    private final String exportName;
    private final LogThrottle throttle = new LogThrottle(System::nanoTime);

    FailureLog(String exportName) {
        this.exportName = exportName;
    }

    /** The storage has failed a request, or memory was short. */
    void failed(Request request, Throwable cause) {
        long number = throttle.numberIfDue();
        if (number > 0) {
            LOG.warn(
                    "export '{}': {} of {} bytes at {} failed: {}{}",
                    exportName,
                    request.command(),
                    request.length(),
                    request.offset(),
                    cause.getMessage(),
                    LogThrottle.numbered("failure", number));
        }
    }

    /** Something failed that should not. */
    void bug(Request request, Throwable cause) {
        long number = throttle.numberIfDue();
        if (number > 0) {
            LOG.error(
                    "export '{}': {} of {} bytes at {} failed{}",
                    exportName,
                    request.command(),
                    request.length(),
                    request.offset(),
                    LogThrottle.numbered("failure", number),
                    cause);
        }
    }
}
