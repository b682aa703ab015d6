package pmemblk.pool;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import pmemblk.pool.btt.CachedTable;

/**
 * Flushes a table when nobody else has for a second, so that no more than that is lost to a power
 * cut. Ends with a commit that fails.
 */
final class CommitTimer extends BackgroundThread {
    private static final long PERIOD_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final CachedTable table;

    CommitTimer(CachedTable table) {
        super("pmemblk-commit");
        this.table = table;
    }

    @Override
    long step() throws IOException {
        return table.flushIfDue(PERIOD_NANOS);
    }
}
