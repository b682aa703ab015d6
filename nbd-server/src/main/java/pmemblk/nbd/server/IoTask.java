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

    /** Nobody waits for the rest of what a client wanted that is gone. */
    @Override
    public void run() {
        if (connection.isAbandoned()) {
            ReferenceCountUtil.release(payload);
            complete(null);
            return;
        }
        long piece = runner.pieceLength(request, progress);
        ByteBuf settled =
                piece < request.length()
                        ? runner.runPiece(request, progress, piece)
                        : runner.run(request, payload);
        progress += piece;
        if (settled != null) {
            complete(settled);
        } else if (progress == request.length()) {
            runner.settle(request).thenAccept(this::complete);
        } else if (!queuesUp()) {
            complete(null);
        }
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
