package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownReadComplete;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
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
 * <p>Belongs to the connection's event loop, but for what says otherwise. No request is taken while
 * too many are in flight, too many bytes are in memory, or the client does not read its replies;
 * then nothing is read from the socket either. Nor is it before the others' turn if much was done.
 * Replies are flushed once for all that came in one go.
 *
 * <p>The phase ends with DISC or with the server; what is in flight is answered first. A server
 * that stops refuses what still comes meanwhile. The input ends it too, but nobody then waits for
 * replies unless there was a DISC in it.
 */
final class TransmissionHandler extends ChannelInboundHandlerAdapter {
    private static final Logger LOG = LoggerFactory.getLogger(TransmissionHandler.class);

    private static final Refusal STOPPING =
            new Refusal(NbdError.ESHUTDOWN, "the server is stopping");

    /**
     * Bytes that requests may deal with before others of the event loop have their turn: a small
     * buffer holds thousands of requests that are answered at once, each of up to a mebibyte.
     */
    private static final long TURN = 4 << 20;

    private final Channel channel;
    private final Session session;
    private final ServedExport served;
    private final Executor ioThreads;
    private final ByteBudget budget;
    private final ServerOptions.ClientLimits limits;
    private final ReceiveBuffer received;
    private final Intake intake;
    private final RequestRunner runner;
    private final BriefWrites briefWrites;
    private final ByteShare share;
    private final Replies replies;
    private final Completions completions;

    private int inFlight;

    /** Grows with every request that has arrived as a whole. */
    private long taken;

    /** Whether the request at hand waits for its bytes of the budget. */
    private boolean awaiting;

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

    /** What is left of this connection's turn, in bytes; if nothing is, it waits for the next. */
    private long turnLeft = TURN;

    TransmissionHandler(
            Channel channel,
            Session session,
            ReceiveBuffer received,
            ServedExport served,
            ByteBudget budget,
            ServerOptions.ClientLimits limits) {
        this.channel = channel;
        this.session = session;
        this.received = received;
        this.intake = new Intake(received, session.form() == ReplyForm.EXTENDED);
        this.served = served;
        this.ioThreads = served.threadsOfConnection();
        this.budget = budget;
        this.limits = limits;
        this.runner = new RequestRunner(session, channel.alloc(), served.failures());
        this.briefWrites = new BriefWrites(runner, ioThreads, served.pollMicros());
        this.share =
                new ByteShare(
                        budget, limits.maxConnectionBytes(), channel.eventLoop(), this::admitted);
        this.replies = new Replies(channel, share::give, this::resume);
        this.completions = new Completions(channel.eventLoop(), this::finishAll);
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
        received.begin();
        served.sessionBegins(this);
        // A client may end its output behind DISC and still wait for its replies.
        channel.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
        StallWatch.begin(this, channel, budget, limits.stallTimeout());
    }

    /** Takes a place at the export, just before this is added; false if there is none left. */
    boolean claimPlace() {
        return served.claimPlace();
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        received.add((ByteBuf) message);
        takeRequests();
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
        replies.flush();
        trim();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
        resume();
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (event instanceof ChannelInputShutdownReadComplete) {
            inputEnded = true;
            resume();
        }
    }

    /** Goes on with what had to wait. */
    private void resume() {
        if (!removed) {
            takeRequests();
            replies.flush();
            trim();
        }
    }

    /** Takes requests until there is no whole one, or something says to wait. */
    private void takeRequests() {
        if (parsing || turnLeft <= 0) {
            return;
        }
        parsing = true;
        try {
            boolean more = true;
            while (more && !ending && mayTake() && turnLeft > 0) {
                more = takeRequest();
            }
        } catch (ProtocolException e) {
            LOG.debug("hanging up on {}: {}", channel.remoteAddress(), e.getMessage());
            ending = true;
        } finally {
            parsing = false;
        }
        if (turnLeft > 0) {
            turnLeft = TURN;
        } else {
            // Not as a task: those that tasks add are run before the loop looks at others.
            channel.eventLoop().schedule(this::takeTurn, 0, TimeUnit.NANOSECONDS);
        }
        boolean waiting = !mayTake();
        boolean reading = !ending && !waiting && turnLeft > 0;
        if ((inputEnded && reading) || (hungUp && waiting && !ending)) {
            LOG.debug("{} has hung up without a word", channel.remoteAddress());
            channel.close();
            return;
        }
        if (channel.config().isAutoRead() != reading) {
            channel.config().setAutoRead(reading);
        }
        if ((ending || stopping) && inFlight == 0 && channel.isActive()) {
            replies.flush();
            // Which makes room, and may have brought this connection here before.
            if (!removed) {
                channel.pipeline().replace(this, null, new EndingHandler(received));
            }
        }
    }

    private void takeTurn() {
        turnLeft = TURN;
        resume();
    }

    private boolean mayTake() {
        if (replies.isFull()) {
            replies.flush();
        }
        return !awaiting
                && (inputEnded || (inFlight < limits.maxRequestsInFlight() && !replies.isFull()));
    }

    /** Takes one request, or part of its payload; false if more bytes have to come first. */
    private boolean takeRequest() throws ProtocolException {
        if (intake.isSkipping()) {
            return intake.skip();
        }
        Request request = intake.request();
        if (request == null) {
            request = intake.decode();
            if (request == null || !admit(request)) {
                return request != null;
            }
        }
        if (request.payloadLength() == 0) {
            intake.done();
            dispatch(request, null);
            return true;
        }
        return takeWithPayload(request);
    }

    private boolean takeWithPayload(Request request) {
        int length = (int) request.payloadLength();
        ByteBuf payload;
        try {
            if (runner.mayBegin(request) && !intake.isCollecting()) {
                int arrived = intake.arrived(channel.alloc(), session.export().info().blockSize());
                if (arrived == 0 || (arrived < length && begin(request, arrived))) {
                    return arrived > 0;
                }
            }
            payload = intake.payload(channel.alloc(), length, share.held());
        } catch (OutOfMemoryError e) {
            served.failures().failed(request, e);
            share.give(runner.bytesHeld(request));
            refuse(request, RequestRunner.NO_MEMORY);
            return true;
        }
        if (payload == null) {
            return false;
        }
        intake.done();
        dispatch(request, payload);
        return true;
    }

    /** Writes what has arrived of a long payload; false if that is not possible now. */
    private boolean begin(Request request, int arrived) {
        if (!runner.begin(request, intake.peek(arrived))) {
            intake.collect();
            return false;
        }
        intake.advance(arrived);
        share.give(arrived);
        return true;
    }

    /** Gives back memory that nothing is in, unless the rest of a request is about to come. */
    private void trim() {
        if (awaiting || intake.request() == null) {
            received.trim();
        }
    }

    /** Sees to it that a request may be carried out; false if it was refused, or has to wait. */
    private boolean admit(Request request) {
        Refusal refusal =
                stopping && request.command() != Command.DISC
                        ? STOPPING
                        : RequestValidator.validate(request, session);
        if (refusal != null) {
            refuse(request, refusal);
            return false;
        }
        if (request.command() == Command.DISC) {
            intake.done();
            ending = true;
            return false;
        }
        awaiting = !share.take(runner.bytesHeld(request));
        return !awaiting;
    }

    private void refuse(Request request, Refusal refusal) {
        intake.done();
        intake.skipLater(request.payloadLength());
        replies.add(runner.reply(request, refusal), 0);
    }

    /** The request that waits has got its bytes. */
    private void admitted() {
        awaiting = false;
        if (stopping) {
            Request request = Objects.requireNonNull(intake.request());
            share.give(runner.bytesHeld(request));
            refuse(request, STOPPING);
        }
        resume();
    }

    private void dispatch(Request request, @Nullable ByteBuf payload) {
        long bytes = runner.bytesHeld(request);
        taken++;
        turnLeft -= request.length();
        if (runner.isBriefRead(request) && appendReply(request)) {
            replies.appended(bytes);
            return;
        }
        ByteBuf reply = runner.runNow(request, payload);
        if (reply != null) {
            replies.add(reply, bytes);
            return;
        }
        inFlight++;
        IoTask task = new IoTask(request, payload, bytes, runner, this, ioThreads);
        if (BriefWrites.include(request)) {
            briefWrites.add(task);
        } else {
            ioThreads.execute(task);
        }
    }

    /** Answers a brief READ beside other replies; false if that is not possible now. */
    private boolean appendReply(Request request) {
        try {
            int length = (int) runner.replySize(request);
            return runner.readNow(request, replies.room(length, 1 + intake.waitingCount()));
        } catch (OutOfMemoryError e) {
            LOG.debug("no memory for a reply to {}: {}", channel.remoteAddress(), e.getMessage());
            return false;
        }
    }

    /** Whether nobody waits for replies any more; any thread may ask. */
    boolean isAbandoned() {
        return abandoned;
    }

    /** Takes back a task that is done; called by an I/O thread. */
    void complete(IoTask task) {
        completions.add(task);
    }

    private void finishAll() {
        completions.begin();
        for (IoTask done = completions.next(); done != null; done = completions.next()) {
            finish(done);
        }
        resume();
    }

    private void finish(IoTask done) {
        inFlight--;
        ByteBuf reply = done.takeReply();
        if (reply == null || removed) {
            ReferenceCountUtil.release(reply);
            share.give(done.bytes());
        } else {
            replies.add(reply, done.bytes());
        }
        endIfOver();
    }

    private void endIfOver() {
        if (removed && inFlight == 0 && !over.isDone()) {
            served.sessionEnds(this);
            over.complete(null);
        }
    }

    /**
     * Ends this session if its client is gone; any thread may ask.
     *
     * @return completes with false if the client is not gone, as far as anybody knows; else with
     *     true, but not before the last request that had begun has ended
     */
    CompletableFuture<Boolean> endIfDead() {
        CompletableFuture<Boolean> answer = new CompletableFuture<>();
        channel.eventLoop()
                .execute(() -> EndCheck.begin(this, channel, replies, inFlight > 0, answer));
        return answer;
    }

    /** Whether the client may be gone without anybody knowing. */
    boolean mayHaveHungUp() {
        return Peer.mayHaveHungUp(channel, received.total());
    }

    /**
     * Whether no more requests will be taken, or only what is received already.
     *
     * @param answer then completes with true when the last that had begun has ended
     */
    boolean isDying(CompletableFuture<Boolean> answer) {
        if (!removed && !ending && Peer.hasHungUp(channel)) {
            hungUp = true;
            resume();
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
    void stop() {
        stopping = true;
        resume();
    }

    /** Whether it is the client's turn, in the middle of a request. */
    boolean isHalfSent() {
        return !removed
                && channel.config().isAutoRead()
                && (intake.isSkipping()
                        || intake.request() != null
                        || received.bytes().isReadable());
    }

    /** How far this connection has come, to tell by whether it stands still. */
    StallWatch.Seen seen(long unread, long sentOfReply) {
        return new StallWatch.Seen(
                received.total(), unread, sentOfReply, taken, replies.writtenCount());
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        if (cause instanceof IOException) {
            LOG.debug("{} is gone: {}", channel.remoteAddress(), cause.getMessage());
        } else if (cause instanceof OutOfMemoryError) {
            LOG.warn("hanging up on {}: {}", channel.remoteAddress(), cause.getMessage());
        } else {
            LOG.error("connection with {} failed", channel.remoteAddress(), cause);
        }
        ctx.close();
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
        abandoned = !ending;
        ending = true;
        removed = true;
        Request unfinished = intake.request();
        if (unfinished != null && !awaiting) {
            share.give(runner.bytesHeld(unfinished));
        }
        intake.release();
        replies.release();
        share.close();
        LOG.debug("{} has left export '{}'", channel.remoteAddress(), session.exportName());
        endIfOver();
    }
}
