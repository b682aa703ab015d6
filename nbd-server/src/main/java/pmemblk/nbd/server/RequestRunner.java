package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.ExportFullException;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.ReplyEncoder;
import pmemblk.nbd.protocol.Request;

/** Carries out valid requests of one session, on whatever thread, and makes their replies. */
final class RequestRunner {
    private static final Logger LOG = LoggerFactory.getLogger(RequestRunner.class);

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
                    case WRITE, TRIM, WRITE_ZEROES ->
                            session.export().writeMayBlock(request.length(), fua);
                    case FLUSH -> session.export().writeMayBlock(0, true);
                };
        return mayBlock ? null : attempt(request, payload, true);
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

    /** Carries out a request; null if it is a READ that would have to wait and must not. */
    private @Nullable ByteBuf attempt(Request request, @Nullable ByteBuf payload, boolean now) {
        NbdError error = NbdError.EIO;
        try {
            if (request.command() == Command.READ) {
                return read(request, now);
            }
            change(request, payload);
            return reply(request, null);
        } catch (IOException e) {
            if (e instanceof ExportFullException) {
                error = NbdError.ENOSPC;
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
        return reply(request, error);
    }

    /**
     * Header and data in one buffer: the data is copied once, to where the socket takes it from.
     */
    private @Nullable ByteBuf read(Request request, boolean now) throws IOException {
        int length = (int) request.length();
        ByteBuf reply = alloc.directBuffer(ReplyEncoder.SIMPLE_REPLY + length);
        boolean done = false;
        try {
            ReplyEncoder.simple(reply, request.cookie(), null);
            ByteBuffer target = reply.internalNioBuffer(ReplyEncoder.SIMPLE_REPLY, length);
            if (now) {
                done = session.export().readNow(request.offset(), target);
            } else {
                session.export().read(request.offset(), target);
                done = true;
            }
            return done ? reply.writerIndex(ReplyEncoder.SIMPLE_REPLY + length) : null;
        } finally {
            if (!done) {
                reply.release();
            }
        }
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
            case READ, DISC -> throw new IllegalStateException("not a change: " + request);
        }
    }

    /** A reply without data. */
    ByteBuf reply(Request request, @Nullable NbdError error) {
        ByteBuf reply = alloc.directBuffer(ReplyEncoder.SIMPLE_REPLY);
        ReplyEncoder.simple(reply, request.cookie(), error);
        return reply;
    }
}
