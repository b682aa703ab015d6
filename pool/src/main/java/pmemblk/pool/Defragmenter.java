package pmemblk.pool;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.btt.CachedTable;

/**
 * Brings the blocks of a pool back together when some were written and nobody uses it. In memory an
 * operation that begins meanwhile finds one block on its way, at most; in a file it may find a
 * commit under way, and a quarter of the lanes taken.
 */
final class Defragmenter extends BackgroundThread {
    private static final Logger LOG = LoggerFactory.getLogger(Defragmenter.class);

    /** How long nobody has used the pool before blocks are moved. */
    private static final long QUIET_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    /** How often to look whether blocks were written. */
    private static final long PERIOD_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final Path path;
    private final CachedTable table;
    private final Operations operations;

    Defragmenter(Path path, CachedTable table, Operations operations) {
        super("pmemblk-defragmenter");
        this.path = path;
        this.table = table;
        this.operations = operations;
    }

    @Override
    long step() throws IOException {
        try {
            boolean done = isIdle() && table.defragment(this::isIdle);
            operations.forgetUse();
            return done ? PERIOD_NANOS : QUIET_NANOS;
        } catch (IOException e) {
            throw ended(e);
        } catch (InternalError e) {
            throw ended(BlockPool.missingPage(path, e));
        }
    }

    private IOException ended(IOException cause) {
        LOG.warn(
                "{}: blocks that lie apart stay so until it is opened again: {}",
                path,
                cause.getMessage());
        return cause;
    }

    private boolean isIdle() {
        return operations.areIdle() && !isStopping();
    }
}
