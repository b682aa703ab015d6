package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.util.ReferenceCountUtil;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.protocol.Request;

/**
 * A request that an I/O thread carries out. A long TRIM or WRITE_ZEROES goes in pieces and queues
 * up again after each, so that other requests get their turn; nor does a change keep its thread
 * while it becomes durable.
 *
 * <p>Belongs to the thread that runs it, or makes it durable, until the connection is told that it
 * is complete, and to the connection's event loop from then on.
 */
final class IoTask implements Runnable {
    private final Request request;
    private final long bytes;
    private final RequestRunner runner;
    private final TransmissionHandler connection;
    private final Executor ioThreads;

    private @Nullable ByteBuf payload;
    private @Nullable ByteBuf reply;

    /** Bytes of the range that are dealt with. */
    private long progress;

    /**
     * A task to be executed by {@code ioThreads}.
     *
     * @param payload what a request carries, else null; released here
     * @param bytes in flight that the request holds
     */
    IoTask(
            Request request,
            @Nullable ByteBuf payload,
            long bytes,
            RequestRunner runner,
            TransmissionHandler connection,
            Executor ioThreads) {
        this.request = request;
        this.payload = payload;
        this.bytes = bytes;
        this.runner = runner;
        this.connection = connection;
        this.ioThreads = ioThreads;
    }

    @Override
    public void run() {
        if (carryOut()) {
            runner.flush(1).whenComplete((none, failure) -> flushed(failure));
        }
    }

    /**
     * Does all, or the next piece. Nobody waits for the rest of what a client wanted that is gone.
     *
     * @return whether the request is carried out but for a flush, after which it is to be {@link
     *     #flushed}
     */
    boolean carryOut() {
        if (connection.isAbandoned()) {
            ReferenceCountUtil.release(payload);
            complete(null);
            return false;
        }
        long piece = runner.pieceLength(request, progress);
        ByteBuf outcome =
                piece < request.length()
                        ? runner.runPiece(request, progress, piece)
                        : runner.run(request, payload);
        progress += piece;
        if (outcome != null) {
            complete(outcome);
        } else if (progress < request.length()) {
            if (!queuesUp()) {
                complete(null);
            }
        } else if (runner.asksForFlush(request)) {
            return true;
        } else {
            complete(runner.reply(request, null));
        }
        return false;
    }

    /**
     * Ends what {@link #carryOut} has left to a flush.
     *
     * @param failure null if that has done its work
     */
    void flushed(@Nullable Throwable failure) {
        complete(runner.reply(request, failure == null ? null : runner.refusal(request, failure)));
    }

    private void complete(@Nullable ByteBuf outcome) {
        reply = outcome;
        connection.complete(this);
    }

    private boolean queuesUp() {
        try {
            ioThreads.execute(this);
            return true;
        } catch (RejectedExecutionException stopped) {
            // The server has closed this connection, too.
            return false;
        }
    }

    /** Bytes in flight that the request holds. */
    long bytes() {
        return bytes;
    }

    /** The reply, which the caller now owns; null if nobody waits for one. */
    @Nullable ByteBuf takeReply() {
        ByteBuf taken = reply;
        reply = null;
        return taken;
    }
}
