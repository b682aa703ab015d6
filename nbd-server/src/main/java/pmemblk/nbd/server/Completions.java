package pmemblk.nbd.server;

import io.netty.util.ReferenceCountUtil;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tasks of one connection that I/O threads are done with, on their way back to its event loop,
 * which is woken once for all that come in one go.
 */
final class Completions {
    private static final Logger LOG = LoggerFactory.getLogger(Completions.class);

    private final Executor loop;
    private final Runnable finishAll;
    private final Queue<IoTask> done = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean scheduled = new AtomicBoolean();

    /**
     * None yet.
     *
     * @param finishAll run by the loop, which then {@linkplain #begin begins} to {@link #next take}
     */
    Completions(Executor loop, Runnable finishAll) {
        this.loop = loop;
        this.finishAll = finishAll;
    }

    /** Any thread may add one. */
    void add(IoTask task) {
        done.add(task);
        if (scheduled.compareAndSet(false, true)) {
            try {
                loop.execute(finishAll);
            } catch (RejectedExecutionException e) {
                LOG.debug("the server has stopped: nobody waits for replies", e);
                scheduled.set(false);
                for (IoTask late = done.poll(); late != null; late = done.poll()) {
                    ReferenceCountUtil.release(late.takeReply());
                }
            }
        }
    }

    /** What is added from now on wakes the loop again. */
    void begin() {
        scheduled.set(false);
    }

    /** The next one, or null if there are no more. */
    @Nullable IoTask next() {
        return done.poll();
    }
}
