package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DecoderException;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.protocol.HandshakeDecoder;
import pmemblk.nbd.protocol.HandshakeDecoder.ClientFlags;
import pmemblk.nbd.protocol.HandshakeEncoder;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.protocol.Option;
import pmemblk.nbd.protocol.OptionCode;
import pmemblk.nbd.protocol.OptionError;
import pmemblk.nbd.protocol.OptionReply;
import pmemblk.nbd.protocol.ProtocolException;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/**
 * The handshake of one connection: greets, answers options, and ends by putting a {@link
 * TransmissionHandler} in its own and the decoder's place. Touches no export but to ask what it is.
 * Runs on the connection's event loop.
 */
final class HandshakeHandler extends ChannelInboundHandlerAdapter {
    private static final Logger LOG = LoggerFactory.getLogger(HandshakeHandler.class);

    private static final OptionReply.Refusal STOPPING =
            new OptionReply.Refusal(OptionError.SHUTDOWN, "the server is stopping");

    private final Exports exports;
    private final Transmission transmission;
    private final Connections connections;
    private final Admission admission;
    private final ClientLimits limits;

    /** Forgotten where TLS begins: an attacker may have put it there. */
    private Negotiation negotiation = new Negotiation();

    private ClientFlags flags = new ClientFlags(0);
    private int optionCount;

    /** The server stops: options are refused. */
    private boolean stopping;

    private boolean finished;
    private @Nullable Future<?> deadline;

    /** Makes the handler of the transmission phase, once it may begin. */
    interface Transmission {
        CompletableFuture<TransmissionHandler> begin(Session session);
    }

    HandshakeHandler(
            Exports exports,
            Transmission transmission,
            Connections connections,
            Admission admission,
            ClientLimits limits) {
        this.exports = exports;
        this.transmission = transmission;
        this.connections = connections;
        this.admission = admission;
        this.limits = limits;
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
        deadline =
                ctx.executor()
                        .schedule(
                                () -> hangUp(ctx, "the handshake takes too long"),
                                limits.handshakeTimeout().toMillis(),
                                TimeUnit.MILLISECONDS);
        answer(ctx, HandshakeEncoder::greet);
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        switch (message) {
            case ClientFlags clientFlags -> flags = clientFlags;
            case Option option -> handle(ctx, option);
            default -> throw new IllegalStateException("unexpected " + message);
        }
    }

    private void handle(ChannelHandlerContext ctx, Option option) {
        optionCount++;
        if (optionCount > limits.maxOptions() + exports.names().size()) {
            hangUp(ctx, "more than %d options".formatted(optionCount - 1));
            return;
        }
        if (!ctx.channel().isWritable()) {
            hangUp(ctx, "it asks on and does not read the answers");
            return;
        }
        if (!flags.fixedNewstyle() && !(option instanceof Option.ExportName)) {
            hangUp(ctx, "an option that plain newstyle does not have");
            return;
        }
        if (option.code() == OptionCode.SET_META_CONTEXT) {
            // It takes the place of an earlier one, even if it fails.
            negotiation.select("", List.of());
        }
        OptionReply.Refusal refusal = admission.refusal(option, exports);
        if (refusal == null && stopping && !(option instanceof Option.Abort)) {
            refusal = STOPPING;
        }
        if (refusal != null) {
            refuse(ctx, option, refusal);
            return;
        }
        switch (option) {
            case Option.ExportName exportName -> exportName(ctx, exportName);
            case Option.Abort abort ->
                    acknowledge(ctx, abort).addListener(ChannelFutureListener.CLOSE);
            case Option.List list ->
                    answer(
                            ctx,
                            out -> ExportAnswers.list(out, list, exports, admission::isAdmitted));
            case Option.StartTls(boolean followed) -> startTls(ctx, followed);
            case Option.Info info -> info(ctx, info);
            case Option.StructuredReply structured -> structuredReply(ctx, structured);
            case Option.ExtendedHeaders extended -> {
                negotiation.extendedHeaders();
                acknowledge(ctx, extended);
            }
            case Option.MetaContext query -> metaContext(ctx, query);
            case Option.Unsupported(int code) ->
                    refuse(ctx, code, OptionError.UNSUP, "this option is not supported");
            case Option.Malformed(int code, String reason) ->
                    refuse(ctx, code, OptionError.INVALID, reason);
        }
    }

    private void exportName(ChannelHandlerContext ctx, Option.ExportName option) {
        String name = option.name();
        Export export = exports.get(name);
        if (export == null) {
            hangUp(ctx, "no export is named '%s'".formatted(shown(name)));
            return;
        }
        if (negotiation.form() == ReplyForm.EXTENDED) {
            hangUp(ctx, "EXPORT_NAME after EXTENDED_HEADERS, which takes GO");
            return;
        }
        Session session = negotiation.session(exports.resolve(name), export);
        begin(
                ctx,
                option,
                session,
                out ->
                        HandshakeEncoder.exportName(
                                out,
                                export.info().size(),
                                session.transmissionFlags(),
                                flags.noZeroes()));
    }

    private void structuredReply(ChannelHandlerContext ctx, Option.StructuredReply option) {
        if (negotiation.form() == ReplyForm.EXTENDED) {
            String reason = "extended headers, which were agreed on, have such replies";
            refuse(ctx, option.code(), OptionError.EXT_HEADER_REQD, reason);
            return;
        }
        negotiation.structuredReplies();
        acknowledge(ctx, option);
    }

    private static ChannelFuture acknowledge(ChannelHandlerContext ctx, Option option) {
        return answer(
                ctx, out -> HandshakeEncoder.reply(out, option.code(), new OptionReply.Ack()));
    }

    /** Nothing that was said before outlives it but the client flags, which are said only once. */
    private void startTls(ChannelHandlerContext ctx, boolean followed) {
        if (followed) {
            hangUp(ctx, "bytes behind STARTTLS that are not encrypted");
            return;
        }
        optionCount = 0;
        negotiation = new Negotiation();
        admission.beginTls(ctx);
    }

    private void info(ChannelHandlerContext ctx, Option.Info option) {
        Export export = exports.get(option.name());
        if (export == null) {
            refuseUnknown(ctx, option.code(), option.name());
            return;
        }
        Session session = negotiation.session(exports.resolve(option.name()), export);
        if (option.go()) {
            begin(ctx, option, session, out -> ExportAnswers.describe(out, option, session));
        } else {
            answer(ctx, out -> ExportAnswers.describe(out, option, session));
        }
    }

    private void metaContext(ChannelHandlerContext ctx, Option.MetaContext query) {
        if (negotiation.form() == ReplyForm.SIMPLE) {
            refuse(ctx, query.code(), OptionError.INVALID, "ask for structured replies first");
            return;
        }
        if (exports.get(query.exportName()) == null) {
            refuseUnknown(ctx, query.code(), query.exportName());
            return;
        }
        List<MetaContext> found = ExportAnswers.found(query);
        if (query.set()) {
            negotiation.select(exports.resolve(query.exportName()), found);
        }
        answer(ctx, out -> ExportAnswers.contexts(out, query, found));
    }

    private static void refuseUnknown(ChannelHandlerContext ctx, int code, String exportName) {
        String reason = "no export is named '%s'".formatted(shown(exportName));
        refuse(ctx, code, OptionError.UNKNOWN, reason);
    }

    private void refuse(ChannelHandlerContext ctx, Option option, OptionReply.Refusal refusal) {
        if (option instanceof Option.ExportName) {
            hangUp(ctx, refusal.reason());
        } else {
            refuse(ctx, option.code(), refusal.error(), refusal.reason());
        }
    }

    private static void refuse(
            ChannelHandlerContext ctx, int code, OptionError error, String reason) {
        OptionReply refusal = new OptionReply.Refusal(error, reason);
        answer(ctx, out -> HandshakeEncoder.reply(out, code, refusal));
    }

    private static ChannelFuture answer(ChannelHandlerContext ctx, Consumer<ByteBuf> encoder) {
        ByteBuf out = ctx.alloc().directBuffer();
        encoder.accept(out);
        return ctx.writeAndFlush(out);
    }

    /** Answers and begins transmission, as soon as may be. */
    private void begin(
            ChannelHandlerContext ctx, Option option, Session session, Consumer<ByteBuf> encoder) {
        CompletableFuture<TransmissionHandler> ready = transmission.begin(session);
        if (ready.isDone()) {
            begin(ctx, option, session, encoder, ready.join());
            return;
        }
        LOG.debug("{} waits for requests of dead connections", ctx.channel().remoteAddress());
        HandshakeDecoder decoder = ctx.pipeline().get(HandshakeDecoder.class);
        decoder.pause();
        ctx.channel().config().setAutoRead(false);
        ready.thenAcceptAsync(
                handler -> {
                    if (!finished) {
                        ctx.channel().config().setAutoRead(true);
                        begin(ctx, option, session, encoder, handler);
                    }
                    if (!finished) { // since this was refused: more options may be here already
                        ctx.pipeline()
                                .addBefore(
                                        ctx.name(),
                                        null,
                                        HandshakeDecoder.ofMoreOptions(limits.maxOptionBytes()))
                                .remove(decoder);
                    }
                },
                ctx.executor());
    }

    /** Dead connections have given back their places by now. */
    private void begin(
            ChannelHandlerContext ctx,
            Option option,
            Session session,
            Consumer<ByteBuf> encoder,
            TransmissionHandler handler) {
        if (stopping) {
            refuse(ctx, option, STOPPING);
            return;
        }
        if (!handler.claimPlace()) {
            refuse(ctx, option, Admission.FULL);
            return;
        }
        LOG.debug("{} uses export '{}'", ctx.channel().remoteAddress(), session.exportName());
        answer(ctx, encoder);
        ctx.pipeline().replace(this, "transmission", handler);
        ctx.pipeline().remove(HandshakeDecoder.class);
    }

    /** Refuses all options from now on: the server stops, and hangs up before long. */
    void stop() {
        stopping = true;
    }

    /** The longest name that a client may choose does not make our message any longer. */
    private static String shown(String name) {
        return name.length() <= Limits.NAME_SHOWN
                ? name
                : name.substring(0, Limits.NAME_SHOWN) + "…";
    }

    private void hangUp(ChannelHandlerContext ctx, String reason) {
        connections.hangUp(ctx.channel(), reason);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        if (cause instanceof DecoderException && cause.getCause() instanceof ProtocolException e) {
            hangUp(ctx, String.valueOf(e.getMessage()));
        } else if (cause instanceof IOException) {
            hangUp(ctx, String.valueOf(cause.getMessage()));
        } else {
            LOG.error("handshake with {} failed", ctx.channel().remoteAddress(), cause);
            ctx.close();
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        finish(ctx);
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
        finish(ctx);
    }

    private void finish(ChannelHandlerContext ctx) {
        if (!finished) {
            finished = true;
            connections.handshakeDone(ctx.channel());
            if (deadline != null) {
                deadline.cancel(false);
            }
        }
    }
}
