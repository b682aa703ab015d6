package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.ExtentState;
import pmemblk.nbd.export.ExtentVisitor;
import pmemblk.nbd.protocol.Chunk;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.ReplyEncoder;
import pmemblk.nbd.protocol.Request;

/**
 * Makes the structured reply to one READ, in one buffer to which data is copied once.
 *
 * <p>First the export says what the range holds, which settles the chunks and so the size of the
 * buffer; then the data is read to its place. What changes in between is read in its new state, or
 * told as zeroes that it was when the request had come.
 */
final class ReadReply {
    private static final Logger LOG = LoggerFactory.getLogger(ReadReply.class);

    /** Room for a failure with its message. */
    private static final int FAILURE_SIZE = 256;

    private final Session session;
    private final Request request;
    private final boolean now;
    private final FailureLog failures;
    private final Extents extents;

    /** Whether reading failed, so that no more of the extents are told of. */
    private boolean failed;

    private ReadReply(
            Session session, Request request, Extents extents, FailureLog failures, boolean now) {
        this.session = session;
        this.request = request;
        this.extents = extents;
        this.failures = failures;
        this.now = now;
    }

    /**
     * The reply, which the caller releases.
     *
     * @param now whether reading must not take long
     * @return null if it would, and must not
     */
    static @Nullable ByteBuf make(
            Session session,
            ByteBufAllocator alloc,
            FailureLog failures,
            Request request,
            boolean now)
            throws IOException {
        Extents extents = extents(session, request, now);
        if (extents == null) {
            return null;
        }
        ReadReply reply = new ReadReply(session, request, extents, failures, now);
        ByteBuf out = alloc.directBuffer(reply.size());
        boolean done = false;
        try {
            done = reply.write(out);
            return done ? out : null;
        } finally {
            if (!done) {
                out.release();
            }
        }
    }

    /** Whether the reply to a READ is one chunk of data, and nobody has to wait to know. */
    static boolean isAllData(Session session, Request request) throws IOException {
        Extents extents = extents(session, request, true);
        return extents != null && extents.count() == 1 && extents.state(0) == ExtentState.DATA;
    }

    /** What to tell of, or null if finding out would take long and {@code now} forbids that. */
    private static @Nullable Extents extents(Session session, Request request, boolean now)
            throws IOException {
        Extents extents = new Extents(Integer.MAX_VALUE);
        boolean whole = request.has(Command.FLAG_DF);
        ExtentVisitor upToError =
                (state, length) -> {
                    boolean asData = whole && state == ExtentState.ZERO;
                    // What lies behind an error is for another request.
                    return extents.extent(asData ? ExtentState.DATA : state, length)
                            && state != ExtentState.ERROR;
                };
        return session.extents(request.offset(), request.length(), upToError, now) ? extents : null;
    }

    private int size() {
        int header = session.form().headerSize();
        int size = extents.count() == 0 ? header : 0;
        for (int i = 0; i < extents.count(); i++) {
            size +=
                    header
                            + switch (extents.state(i)) {
                                case DATA -> Chunk.Data.PREFIX_SIZE + (int) extents.length(i);
                                case ZERO -> Chunk.Hole.SIZE;
                                case ERROR -> FAILURE_SIZE;
                            };
        }
        return size;
    }

    private boolean write(ByteBuf out) {
        if (extents.count() == 0) {
            ReplyEncoder.chunk(out, session.form(), request, true, new Chunk.None());
        }
        long offset = request.offset();
        for (int i = 0; i < extents.count() && !failed; i++) {
            int length = (int) extents.length(i);
            boolean done = i == extents.count() - 1;
            switch (extents.state(i)) {
                case DATA -> {
                    if (!data(out, offset, length, done)) {
                        return false;
                    }
                }
                case ZERO ->
                        ReplyEncoder.chunk(
                                out, session.form(), request, done, new Chunk.Hole(offset, length));
                case ERROR -> errorBlock(out, offset);
            }
            offset += length;
        }
        return true;
    }

    /** Reads data, or tells of a failure; false if that would take long, and must not. */
    private boolean data(ByteBuf out, long offset, int length, boolean done) {
        int start = out.writerIndex();
        ReplyEncoder.chunk(out, session.form(), request, done, new Chunk.Data(offset, length));
        ByteBuffer target = out.internalNioBuffer(out.writerIndex(), length);
        try {
            if (!session.read(offset, target, now)) {
                return false;
            }
            out.writerIndex(out.writerIndex() + length);
        } catch (IOException e) {
            failures.failed(request, e);
            failed = true;
            out.writerIndex(start);
            failure(out, "the storage failed; the server's log says how", offset);
        }
        return true;
    }

    private void errorBlock(ByteBuf out, long offset) {
        long block = offset / session.export().info().blockSize();
        LOG.debug("export '{}': READ of error block {}", session.exportName(), block);
        failure(
                out,
                "block %d is in the error state; writing or zeroing it clears that"
                        .formatted(block),
                offset);
    }

    private void failure(ByteBuf out, String message, long offset) {
        Chunk failure = new Chunk.FailureAt(NbdError.EIO, message, offset);
        ReplyEncoder.chunk(out, session.form(), request, true, failure);
    }
}
