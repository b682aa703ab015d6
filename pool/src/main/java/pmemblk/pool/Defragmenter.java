package pmemblk.pool;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.btt.BlockTranslationTable;

/**
 * Brings the blocks of a table back together when some were written and nobody uses the pool. An
 * operation that begins meanwhile finds one block on its way, at most.
 */
final class Defragmenter extends BackgroundThread {
    private static final Logger LOG = LoggerFactory.getLogger(Defragmenter.class);

    /** How long nobody has used the pool before blocks are moved. */
    private static final long QUIET_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    /** How often to look whether blocks were written. */
    private static final long PERIOD_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final BlockTranslationTable table;
    private final Operations operations;

    Defragmenter(BlockTranslationTable table, Operations operations) {
        super("pmemblk-defragmenter");
        this.table = table;
        this.operations = operations;
    }

    @Override
    long step() throws IOException {
        try {
            boolean done = isIdle() && table.defragment(this::isIdle);
            operations.forgetUse();
            return done ? PERIOD_NANOS : QUIET_NANOS;
        } catch (IOException | InternalError e) {
            LOG.warn("blocks are not brought together any more: {}", e.getMessage());
            throw new IOException(e);
        }
    }

    private boolean isIdle() {
        return !operations.wereUsed() && !isStopping();
    }
}
