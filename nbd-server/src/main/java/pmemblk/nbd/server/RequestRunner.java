package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.Export;
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
    static final Refusal NO_MEMORY =
            new Refusal(NbdError.ENOMEM, "the server has no memory left for this; try again");

    private static final Refusal STORAGE_FAILED =
            new Refusal(NbdError.EIO, "the storage failed; the server's log says how");

    private static final Refusal STORAGE_FULL =
            new Refusal(NbdError.ENOSPC, "the storage is full; the server's log says how");

    /** Blocks that a TRIM or WRITE_ZEROES deals with before others get their turn. */
    private static final long BLOCKS_PER_PIECE = 4096;

    /** Writes up to this, in bytes, are carried out when they are there as a whole. */
    private static final int LONG_WRITE = 32 << 10;

    private final Session session;
    private final ByteBufAllocator alloc;
    private final FailureLog failures;

    RequestRunner(Session session, ByteBufAllocator alloc, FailureLog failures) {
        this.session = session;
        this.alloc = alloc;
        this.failures = failures;
    }

    /**
     * Carries out a request as {@link #run} does if that takes no waiting; else returns null, and
     * nothing has been done yet.
     */
    @Nullable ByteBuf runNow(Request request, @Nullable ByteBuf payload) {
        boolean flushes = asksForFlush(request);
        if (request.command() == Command.WRITE && payload != null && !flushes) {
            return writeNow(request, payload);
        }
        boolean mayBlock =
                switch (Objects.requireNonNull(request.command())) {
                    case READ, CACHE, DISC -> false;
                    // How long the range is comes with the payload, if there is one.
                    case BLOCK_STATUS -> payload != null;
                    case WRITE, TRIM, WRITE_ZEROES ->
                            session.export().writeMayBlock(request.length(), flushes);
                    case FLUSH -> session.export().writeMayBlock(0, flushes);
                };
        return mayBlock ? null : attempt(request, payload, true);
    }

    /**
     * Whether a request may be carried out block by block while its payload comes: the client sends
     * the rest meanwhile, and what was received is still in the processor's cache.
     */
    boolean mayBegin(Request request) {
        return request.command() == Command.WRITE
                && request.length() > LONG_WRITE
                && session.export().info().blockSize() <= LONG_WRITE
                && !asksForFlush(request);
    }

    /**
     * Writes the beginning of a payload if that takes no waiting and does not fail; else returns
     * false, and all of it is still to be written.
     */
    boolean begin(Request request, ByteBuffer beginning) {
        try {
            return session.export().writeNow(request.offset(), beginning);
        } catch (IOException | RuntimeException | Error e) {
            // Whoever writes it next meets that again, and tells.
            return false;
        }
    }

    private @Nullable ByteBuf writeNow(Request request, ByteBuf payload) {
        Refusal refusal = null;
        try {
            if (!session.export().writeNow(request.offset(), payload.nioBuffer())) {
                return null;
            }
        } catch (IOException | RuntimeException | Error e) {
            refusal = refusal(request, e);
        }
        payload.release();
        return reply(request, refusal);
    }

    /** Whether the reply to a request may be appended to others by {@link #readNow}. */
    boolean isBriefRead(Request request) {
        return request.command() == Command.READ && replySize(request) <= Replies.LONGEST_IN_BURST;
    }

    /** The bytes of the reply to a READ, if all of it is data. */
    long replySize(Request request) {
        ReplyForm form = session.form();
        int prefix = form == ReplyForm.SIMPLE ? 0 : Chunk.Data.PREFIX_SIZE;
        return form.headerSize() + prefix + request.length();
    }

    /**
     * Appends the reply to a brief READ, if all of it is data, and if that takes no waiting and
     * does not fail; else returns false, and leaves all as it was.
     *
     * @param out with room for the reply
     */
    boolean readNow(Request request, ByteBuf out) {
        int start = out.writerIndex();
        int length = (int) request.length();
        int data = start;
        boolean done = false;
        try {
            if (session.form() == ReplyForm.SIMPLE) {
                ReplyEncoder.simple(out, request.cookie(), null);
            } else if (ReadReply.isAllData(session, request)) {
                Chunk chunk = new Chunk.Data(request.offset(), length);
                ReplyEncoder.chunk(out, session.form(), request, true, chunk);
            } else {
                return false;
            }
            data = out.writerIndex();
            done = session.read(request.offset(), out.internalNioBuffer(data, length), true);
        } catch (IOException e) {
            // Whoever runs it next meets that again, and tells.
        } finally {
            out.writerIndex(done ? data + length : start);
        }
        return done;
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
     * @return the reply, which the caller releases, if it was a question or a failure; else null
     */
    @Nullable ByteBuf run(Request request, @Nullable ByteBuf payload) {
        return attempt(request, payload, false);
    }

    /** Bytes that a request deals with at once, of those from {@code progress} on. */
    long pieceLength(Request request, long progress) {
        if (request.command() != Command.TRIM && request.command() != Command.WRITE_ZEROES) {
            return request.length();
        }
        long blockSize = session.export().info().blockSize();
        long start = request.offset() + progress;
        long end = (start / blockSize + BLOCKS_PER_PIECE) * blockSize;
        return Math.min(end - start, request.length() - progress);
    }

    /**
     * Carries out one piece of a TRIM or WRITE_ZEROES.
     *
     * @return the reply, which the caller releases, if that failed; else null
     */
    @Nullable ByteBuf runPiece(Request request, long progress, long length) {
        try {
            change(request.piece(progress, length), null);
            return null;
        } catch (IOException | RuntimeException | Error e) {
            return reply(request, refusal(request, e));
        }
    }

    /** Begins to make durable what has been done. */
    void prepareFlush() {
        session.export().prepareFlush();
    }

    /** Makes durable what has been done; completes as {@link Export#flushAsync} does. */
    CompletableFuture<Void> flush(int requests) {
        return session.export().flushAsync(requests);
    }

    /** Whether what a request does is to be durable before it is answered. */
    boolean asksForFlush(Request request) {
        return switch (Objects.requireNonNull(request.command())) {
            case FLUSH -> true;
            case WRITE -> request.has(Command.FLAG_FUA) || session.export().writesAreFua();
            case TRIM, WRITE_ZEROES -> request.has(Command.FLAG_FUA);
            // FUA may come with any command, and is ignored where nothing changes.
            case READ, BLOCK_STATUS, CACHE, DISC -> false;
        };
    }

    /**
     * Carries out a request.
     *
     * @param now whether that must take no waiting
     * @return the reply; null if nothing was done because of {@code now}, or without it, if a
     *     change was made
     */
    private @Nullable ByteBuf attempt(Request request, @Nullable ByteBuf payload, boolean now) {
        Refusal refusal;
        try {
            if (request.command() == Command.READ) {
                return session.form() == ReplyForm.SIMPLE
                        ? read(request, now)
                        : ReadReply.make(session, alloc, failures, request, now);
            }
            if (request.command() == Command.BLOCK_STATUS) {
                return payload == null
                        ? StatusReply.make(session, alloc, request, now)
                        : status(request, payload);
            }
            if (request.length() > 0) {
                change(request, payload);
            }
            if (!now) {
                if (request.command() == Command.FLUSH) {
                    session.export().writeBack();
                }
                return null;
            }
            if (asksForFlush(request)) {
                session.export().flush();
            }
            return reply(request, null);
        } catch (IOException | RuntimeException | Error e) {
            refusal = refusal(request, e);
        } finally {
            if (payload != null) {
                payload.release();
            }
        }
        return reply(request, refusal);
    }

    /** What to tell of a failure, which is logged here. */
    Refusal refusal(Request request, Throwable cause) {
        if (cause instanceof IOException || cause instanceof OutOfMemoryError) {
            failures.failed(request, cause);
        } else {
            failures.bug(request, cause);
        }
        return switch (cause) {
            case ExportFullException full -> STORAGE_FULL;
            case OutOfMemoryError spent -> NO_MEMORY;
            default -> STORAGE_FAILED;
        };
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
        switch (Objects.requireNonNull(request.command())) {
            case WRITE -> {
                ByteBuffer bytes = Objects.requireNonNull(payload).nioBuffer();
                if (asksForFlush(request)) {
                    session.export().writeThrough(request.offset(), bytes);
                } else {
                    session.export().write(request.offset(), bytes);
                }
            }
            case TRIM -> session.export().trim(request.offset(), request.length());
            case WRITE_ZEROES -> session.export().zero(request.offset(), request.length());
            case CACHE, FLUSH -> {
                // A hint, and what is cached is the system's business: reading on demand will do.
                // A flush is for the end.
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
        ByteBuf reply = smallBuffer(form.headerSize());
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

    private ByteBuf smallBuffer(int size) {
        try {
            return alloc.directBuffer(size);
        } catch (OutOfMemoryError noneThere) {
            return Unpooled.buffer(size);
        }
    }
}
