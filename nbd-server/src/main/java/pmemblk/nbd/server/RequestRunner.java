package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.ExportFullException;
import pmemblk.nbd.protocol.Chunk;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.ReplyEncoder;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;
import pmemblk.nbd.protocol.RequestDecoder;
import pmemblk.nbd.protocol.StatusQuery;

/** Carries out valid requests of one session, on whatever thread, and makes their replies. */
final class RequestRunner {
    private static final Logger LOG = LoggerFactory.getLogger(RequestRunner.class);

    private static final Refusal STORAGE_FAILED =
            new Refusal(NbdError.EIO, "the storage failed; the server's log says how");

    private static final Refusal STORAGE_FULL =
            new Refusal(NbdError.ENOSPC, "the storage is full; the server's log says how");

    private final Session session;
    private final ByteBufAllocator alloc;

    RequestRunner(Session session, ByteBufAllocator alloc) {
        this.session = session;
        this.alloc = alloc;
    }

    /**
     * Carries out a request as {@link #run} does if that takes no waiting; else returns null, and
     * nothing has been done yet.
     */
    @Nullable ByteBuf runNow(Request request, @Nullable ByteBuf payload) {
        boolean fua = request.has(Command.FLAG_FUA);
        boolean mayBlock =
                switch (Objects.requireNonNull(request.command())) {
                    case READ, CACHE, DISC -> false;
                    // How long the range is comes with the payload, if there is one.
                    case BLOCK_STATUS -> payload != null;
                    case WRITE, TRIM, WRITE_ZEROES ->
                            session.export().writeMayBlock(request.length(), fua);
                    case FLUSH -> session.export().writeMayBlock(0, true);
                };
        return mayBlock ? null : attempt(request, payload, true);
    }

    /** The bytes that a request keeps in memory until its reply is written, at most. */
    long bytesHeld(Request request) {
        return switch (request.command()) {
            case READ -> request.length();
            case BLOCK_STATUS -> StatusReply.maxSize(session, request);
            case null, default -> request.payloadLength();
        };
    }

    /**
     * Carries out a request.
     *
     * @param payload what a WRITE carries, else null; released here
     * @return the reply, which the caller releases
     */
    ByteBuf run(Request request, @Nullable ByteBuf payload) {
        return Objects.requireNonNull(attempt(request, payload, false));
    }

    /** Carries out a request; null if it would have to wait and must not. */
    private @Nullable ByteBuf attempt(Request request, @Nullable ByteBuf payload, boolean now) {
        Refusal refusal = STORAGE_FAILED;
        try {
            if (request.command() == Command.READ) {
                return session.form() == ReplyForm.SIMPLE
                        ? read(request, now)
                        : ReadReply.make(session, alloc, request, now);
            }
            if (request.command() == Command.BLOCK_STATUS) {
                return payload == null
                        ? StatusReply.make(session, alloc, request, now)
                        : status(request, payload);
            }
            if (request.length() > 0 || request.command() == Command.FLUSH) {
                change(request, payload);
            }
            return reply(request, null);
        } catch (IOException e) {
            if (e instanceof ExportFullException) {
                refusal = STORAGE_FULL;
            }
            LOG.warn(
                    "export '{}': {} of {} bytes at {} failed: {}",
                    session.exportName(),
                    request.command(),
                    request.length(),
                    request.offset(),
                    e.getMessage());
        } catch (RuntimeException | Error e) {
            LOG.error(
                    "export '{}': {} of {} bytes at {} failed",
                    session.exportName(),
                    request.command(),
                    request.length(),
                    request.offset(),
                    e);
        } finally {
            if (payload != null) {
                payload.release();
            }
        }
        return reply(request, refusal);
    }

    /**
     * Header and data in one buffer: the data is copied once, to where the socket takes it from.
     */
    private @Nullable ByteBuf read(Request request, boolean now) throws IOException {
        int length = (int) request.length();
        int header = ReplyForm.SIMPLE.headerSize();
        ByteBuf reply = alloc.directBuffer(header + length);
        boolean done = false;
        try {
            ReplyEncoder.simple(reply, request.cookie(), null);
            ByteBuffer target = reply.internalNioBuffer(header, length);
            done = session.read(request.offset(), target, now);
            return done ? reply.writerIndex(header + length) : null;
        } finally {
            if (!done) {
                reply.release();
            }
        }
    }

    /** Tells of the contexts that the payload names. */
    private @Nullable ByteBuf status(Request request, ByteBuf payload) throws IOException {
        StatusQuery query = RequestDecoder.statusQuery(payload);
        Refusal refusal = RequestValidator.validate(request, query, session);
        if (refusal != null) {
            return reply(request, refusal);
        }
        List<MetaContext> some =
                session.contexts().stream()
                        .filter(context -> query.contextIds().contains(context.id()))
                        .toList();
        return StatusReply.make(
                session.withContexts(some), alloc, request.withoutPayload(query.length()), false);
    }

    private void change(Request request, @Nullable ByteBuf payload) throws IOException {
        boolean fua = request.has(Command.FLAG_FUA);
        switch (Objects.requireNonNull(request.command())) {
            case WRITE ->
                    session.export()
                            .write(
                                    request.offset(),
                                    Objects.requireNonNull(payload).nioBuffer(),
                                    fua);
            case FLUSH -> session.export().flush();
            case TRIM -> session.export().trim(request.offset(), request.length(), fua);
            case WRITE_ZEROES -> session.export().zero(request.offset(), request.length(), fua);
            case CACHE -> {
                // A hint, and what is cached is the system's business: reading on demand will do.
            }
            case READ, BLOCK_STATUS, DISC ->
                    throw new IllegalStateException("not a change: " + request);
        }
    }

    /**
     * A reply without data.
     *
     * @param refusal null if all went well
     */
    ByteBuf reply(Request request, @Nullable Refusal refusal) {
        ReplyForm form = session.form();
        ByteBuf reply = alloc.directBuffer(form.headerSize());
        boolean simple = refusal == null ? form != ReplyForm.EXTENDED : form == ReplyForm.SIMPLE;
        if (simple) {
            NbdError error = refusal == null ? null : refusal.error();
            ReplyEncoder.simple(reply, request.cookie(), error);
        } else {
            Chunk chunk =
                    refusal == null
                            ? new Chunk.None()
                            : new Chunk.Failure(refusal.error(), refusal.reason());
            ReplyEncoder.chunk(reply, form, request, true, chunk);
        }
        return reply;
    }
}
