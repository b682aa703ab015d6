package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownReadComplete;
import java.io.IOException;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.ProtocolException;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;

/**
 * The transmission phase of one connection: takes requests as they come, has them carried out here
 * or by the I/O threads, and writes replies in whatever order they get done.
 *
 * <p>All fields but the queue of completions belong to the connection's event loop. No request is
 * taken while too many are in flight, too many bytes are in memory, or the client does not read its
 * replies; then nothing is read from the socket either. Replies are flushed once for all that came
 * in one go.
 *
 * <p>The phase ends with DISC or with the server; what is in flight is answered first. A server
 * that stops refuses what still comes meanwhile. The input ends it too, but nobody then waits for
 * replies unless there was a DISC in it.
 */
final class TransmissionHandler extends ChannelInboundHandlerAdapter {
    private static final Logger LOG = LoggerFactory.getLogger(TransmissionHandler.class);

    private static final Refusal STOPPING =
            new Refusal(NbdError.ESHUTDOWN, "the server is stopping");

    private final Session session;
    private final ServedExport served;
    private final Executor ioThreads;
    private final ByteBudget budget;
    private final int maxInFlight;
    private final ReceiveBuffer received;
    private final Intake intake;
    private final Queue<Completion> completions = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean completionsScheduled = new AtomicBoolean();

    /** Set when the handler is added. */
    private @Nullable RequestRunner runner;

    private int inFlight;

    /** The request that waits for its bytes of the budget. */
    private @Nullable Request awaiting;

    /** No request is taken any more: the client said DISC, or all is lost. */
    private boolean ending;

    /** The server stops: requests are refused. */
    private boolean stopping;

    /** The client sends nothing more: what was received is taken, whatever says to wait. */
    private boolean inputEnded;

    private boolean parsing;
    private boolean unflushed;

    /** A reply that an I/O thread has ready. */
    private record Completion(ByteBuf reply, long bytes) {}

    TransmissionHandler(
            Session session,
            ReceiveBuffer received,
            ServedExport served,
            ByteBudget budget,
            int maxInFlight) {
        this.session = session;
        this.received = received;
        this.intake = new Intake(received, session.form() == ReplyForm.EXTENDED);
        this.served = served;
        this.ioThreads = served.threadsOfConnection();
        this.budget = budget;
        this.maxInFlight = maxInFlight;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
        runner = new RequestRunner(session, ctx.alloc());
        received.begin();
        served.sessionBegins();
        // A client may end its output behind DISC and still wait for its replies.
        ctx.channel().config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        received.add((ByteBuf) message);
        takeRequests(ctx);
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
        flush(ctx);
        received.trim();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
        takeRequests(ctx);
        flush(ctx);
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (event instanceof ChannelInputShutdownReadComplete) {
            inputEnded = true;
            takeRequests(ctx);
            flush(ctx);
        }
    }

    /** Takes requests until there is no whole one, or something says to wait. */
    private void takeRequests(ChannelHandlerContext ctx) {
        if (parsing) {
            return;
        }
        parsing = true;
        try {
            boolean more = true;
            while (more && !ending && mayTake(ctx)) {
                more = takeRequest(ctx);
            }
        } catch (ProtocolException e) {
            LOG.debug("hanging up on {}: {}", ctx.channel().remoteAddress(), e.getMessage());
            ending = true;
        } finally {
            parsing = false;
        }
        boolean reading = !ending && mayTake(ctx);
        if (inputEnded && reading) {
            LOG.debug("{} has hung up without a word", ctx.channel().remoteAddress());
            ctx.close();
            return;
        }
        if (ctx.channel().config().isAutoRead() != reading) {
            ctx.channel().config().setAutoRead(reading);
        }
        if ((ending || stopping) && inFlight == 0 && ctx.channel().isActive()) {
            ctx.pipeline().replace(this, null, new EndingHandler(received));
        }
    }

    private boolean mayTake(ChannelHandlerContext ctx) {
        if (!ctx.channel().isWritable() && unflushed) {
            flush(ctx);
        }
        return awaiting == null
                && (inputEnded || (inFlight < maxInFlight && ctx.channel().isWritable()));
    }

    /** Takes one request, or part of its payload; false if more bytes have to come first. */
    private boolean takeRequest(ChannelHandlerContext ctx) throws ProtocolException {
        if (intake.isSkipping()) {
            return intake.skip();
        }
        Request request = intake.request();
        if (request == null) {
            request = intake.decode();
            if (request == null || !admit(ctx, request)) {
                return request != null;
            }
        }
        if (request.payloadLength() == 0) {
            intake.done();
            dispatch(ctx, request, null);
            return true;
        }
        ByteBuf payload = intake.payload(ctx.alloc(), (int) request.payloadLength());
        if (payload == null) {
            return false;
        }
        intake.done();
        dispatch(ctx, request, payload);
        return true;
    }

    /** Sees to it that a request may be carried out; false if it was refused, or has to wait. */
    private boolean admit(ChannelHandlerContext ctx, Request request) {
        Refusal refusal =
                stopping && request.command() != Command.DISC
                        ? STOPPING
                        : RequestValidator.validate(request, session);
        if (refusal != null) {
            refuse(ctx, request, refusal);
            return false;
        }
        if (request.command() == Command.DISC) {
            intake.done();
            ending = true;
            return false;
        }
        long bytes = runner().bytesHeld(request);
        if (bytes > 0 && !budget.take(bytes, () -> ctx.executor().execute(() -> granted(ctx)))) {
            awaiting = request;
            return false;
        }
        return true;
    }

    private void refuse(ChannelHandlerContext ctx, Request request, Refusal refusal) {
        intake.done();
        intake.skipLater(request.payloadLength());
        write(ctx, runner().reply(request, refusal));
    }

    /** The budget has the bytes for the request that waits for them. */
    private void granted(ChannelHandlerContext ctx) {
        Request request = Objects.requireNonNull(awaiting);
        awaiting = null;
        if (ending || stopping) {
            budget.give(runner().bytesHeld(request));
        }
        if (ending) {
            return;
        }
        if (stopping) {
            refuse(ctx, request, STOPPING);
        }
        takeRequests(ctx);
        flush(ctx);
    }

    private void dispatch(ChannelHandlerContext ctx, Request request, @Nullable ByteBuf payload) {
        long bytes = runner().bytesHeld(request);
        inFlight++;
        ByteBuf reply = runner().runNow(request, payload);
        if (reply == null) {
            ioThreads.execute(() -> complete(ctx, runner().run(request, payload), bytes));
        } else {
            finish(ctx, reply, bytes);
        }
    }

    /** Hands a reply to the event loop; called by an I/O thread. */
    private void complete(ChannelHandlerContext ctx, ByteBuf reply, long bytes) {
        completions.add(new Completion(reply, bytes));
        if (completionsScheduled.compareAndSet(false, true)) {
            ctx.executor().execute(() -> finishAll(ctx));
        }
    }

    private void finishAll(ChannelHandlerContext ctx) {
        completionsScheduled.set(false);
        for (Completion done = completions.poll(); done != null; done = completions.poll()) {
            finish(ctx, done.reply, done.bytes);
        }
        takeRequests(ctx);
        flush(ctx);
    }

    private void finish(ChannelHandlerContext ctx, ByteBuf reply, long bytes) {
        inFlight--;
        if (bytes > 0) {
            ctx.write(reply).addListener(written -> budget.give(bytes));
            unflushed = true;
        } else {
            write(ctx, reply);
        }
    }

    private void write(ChannelHandlerContext ctx, ByteBuf reply) {
        ctx.write(reply, ctx.voidPromise());
        unflushed = true;
    }

    private void flush(ChannelHandlerContext ctx) {
        if (unflushed) {
            unflushed = false;
            ctx.flush();
        }
    }

    /**
     * Refuses requests from now on, and closes the connection once those in flight are answered.
     */
    void stop(ChannelHandlerContext ctx) {
        stopping = true;
        takeRequests(ctx);
        flush(ctx);
    }

    private RequestRunner runner() {
        if (runner == null) {
            throw new IllegalStateException("the handler is in no pipeline");
        }
        return runner;
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        if (cause instanceof IOException) {
            LOG.debug("{} is gone: {}", ctx.channel().remoteAddress(), cause.getMessage());
        } else {
            LOG.error("connection with {} failed", ctx.channel().remoteAddress(), cause);
        }
        ctx.close();
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
        ending = true;
        Request unfinished = intake.request();
        if (unfinished != null && awaiting == null) {
            budget.give(runner().bytesHeld(unfinished));
        }
        intake.release();
        served.sessionEnds();
        LOG.debug("{} has left export '{}'", ctx.channel().remoteAddress(), session.exportName());
    }
}
