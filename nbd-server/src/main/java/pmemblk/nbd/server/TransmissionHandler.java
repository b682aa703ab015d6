package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownReadComplete;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
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

    private @Nullable ChannelHandlerContext context;

    private int inFlight;

    /** The request that waits for its bytes of the budget. */
    private @Nullable Request awaiting;

    /** No request is taken any more: the client said DISC, or all is lost. */
    private boolean ending;

    /** The server stops: requests are refused. */
    private boolean stopping;

    /** The client sends nothing more: what was received is taken, whatever says to wait. */
    private boolean inputEnded;

    /** The client has closed the connection, whether all that it sent is here or not. */
    private boolean hungUp;

    /** The connection is closed, or somebody else's; only completions still come. */
    private boolean removed;

    /** The client is gone without DISC: what is not yet begun is not carried out. */
    private volatile boolean abandoned;

    /** Completes once no request of this connection can take effect any more. */
    private final CompletableFuture<Void> over = new CompletableFuture<>();

    private boolean parsing;
    private boolean unflushed;
    private long flushCount;

    /** A request that an I/O thread is done with; without a reply if nobody waits for one. */
    private record Completion(@Nullable ByteBuf reply, long bytes) {}

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
        context = ctx;
        received.begin();
        served.sessionBegins(this);
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
        if ((inputEnded && reading) || (hungUp && !reading && !ending)) {
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
            ioThreads.execute(() -> complete(ctx, runUnlessAbandoned(request, payload), bytes));
        } else {
            finish(ctx, reply, bytes);
        }
    }

    /** Carries out a request, unless its client is gone; called by an I/O thread. */
    private @Nullable ByteBuf runUnlessAbandoned(Request request, @Nullable ByteBuf payload) {
        if (abandoned) {
            ReferenceCountUtil.release(payload);
            return null;
        }
        return runner().run(request, payload);
    }

    /** Hands a reply to the event loop; called by an I/O thread. */
    private void complete(ChannelHandlerContext ctx, @Nullable ByteBuf reply, long bytes) {
        completions.add(new Completion(reply, bytes));
        if (completionsScheduled.compareAndSet(false, true)) {
            try {
                ctx.executor().execute(() -> finishAll(ctx));
            } catch (RejectedExecutionException e) {
                LOG.debug("the server has stopped: nobody waits for replies", e);
                completionsScheduled.set(false);
                releaseCompletions();
            }
        }
    }

    private void releaseCompletions() {
        for (Completion late = completions.poll(); late != null; late = completions.poll()) {
            ReferenceCountUtil.release(late.reply);
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

    private void finish(ChannelHandlerContext ctx, @Nullable ByteBuf reply, long bytes) {
        inFlight--;
        if (reply == null) {
            budget.give(bytes);
        } else if (bytes > 0) {
            ctx.write(reply).addListener(written -> budget.give(bytes));
            unflushed = true;
        } else {
            write(ctx, reply);
        }
        endIfOver();
    }

    private void endIfOver() {
        if (removed && inFlight == 0 && !over.isDone()) {
            served.sessionEnds(this);
            over.complete(null);
        }
    }

    private void write(ChannelHandlerContext ctx, ByteBuf reply) {
        ctx.write(reply, ctx.voidPromise());
        unflushed = true;
    }

    private void flush(ChannelHandlerContext ctx) {
        if (unflushed) {
            unflushed = false;
            flushCount++;
            ctx.flush();
        }
    }

    /**
     * Ends this session if its client is gone; any thread may ask.
     *
     * @return completes with false if the client is not gone, as far as anybody knows; else with
     *     true, but not before the last request that had begun has ended
     */
    CompletableFuture<Boolean> endIfDead() {
        ChannelHandlerContext ctx = Objects.requireNonNull(context);
        CompletableFuture<Boolean> answer = new CompletableFuture<>();
        ctx.executor().execute(() -> endIfDead(ctx, answer));
        return answer;
    }

    private void endIfDead(ChannelHandlerContext ctx, CompletableFuture<Boolean> answer) {
        // Where replies are unread, closing would have reset the connection; and where none is due,
        // there is nothing to find out by.
        boolean knows =
                !Peer.mayHaveHungUp(ctx.channel()) || !ctx.channel().isWritable() || inFlight == 0;
        if (!isDying(ctx, answer)) {
            if (knows) {
                answer.complete(false);
            } else {
                endIfDeafToReplies(ctx, flushCount, answer);
            }
        }
    }

    /** Sees that the end is known once a reply has been sent, and the client's system had time. */
    private void endIfDeafToReplies(
            ChannelHandlerContext ctx, long flushCountBefore, CompletableFuture<Boolean> answer) {
        boolean sent = flushCount > flushCountBefore;
        ctx.executor()
                .schedule(
                        () -> {
                            if (isDying(ctx, answer)) {
                                return;
                            }
                            if (sent) {
                                answer.complete(false);
                            } else {
                                endIfDeafToReplies(ctx, flushCountBefore, answer);
                            }
                        },
                        sent ? Peer.roundTripMillis(ctx.channel()) : 1,
                        TimeUnit.MILLISECONDS);
    }

    /** Whether no more requests will be taken, or only what is received already. */
    private boolean isDying(ChannelHandlerContext ctx, CompletableFuture<Boolean> answer) {
        if (!removed && !ending && Peer.hasHungUp(ctx.channel())) {
            hungUp = true;
            takeRequests(ctx);
            flush(ctx);
        }
        if (removed || ending || hungUp) {
            over.thenRun(() -> answer.complete(true));
            return true;
        }
        return false;
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
        abandoned = !ending;
        ending = true;
        removed = true;
        Request unfinished = intake.request();
        if (unfinished != null && awaiting == null) {
            budget.give(runner().bytesHeld(unfinished));
        }
        intake.release();
        LOG.debug("{} has left export '{}'", ctx.channel().remoteAddress(), session.exportName());
        endIfOver();
    }
}
