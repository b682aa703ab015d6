package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.ExtentState;
import pmemblk.nbd.protocol.Chunk;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.ReplyEncoder;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;

/**
 * Makes the reply to one BLOCK_STATUS: a chunk for each context. It may tell of less than was asked
 * for, at least of one extent; the client then asks on.
 */
final class StatusReply {
    /** Blocks looked at for one request: some milliseconds. */
    static final long MAX_BLOCKS = 1 << 20;

    /** Extents told of in one chunk; the protocol asks for no more than 2^20. */
    static final int MAX_EXTENTS = 1 << 16;

    private final Session session;
    private final Request request;
    private final Extents extents;

    private StatusReply(Session session, Request request, Extents extents) {
        this.session = session;
        this.request = request;
        this.extents = extents;
    }

    /** Bytes that the reply may have. */
    static long maxSize(Session session, Request request) {
        long blocks =
                request.payloadLength() > 0
                        ? MAX_EXTENTS // How long the range is comes with the payload.
                        : request.length() / session.export().info().blockSize() + 2;
        return size(session, Math.min(blocks, maxExtents(request)));
    }

    private static long size(Session session, long extentCount) {
        ReplyForm form = session.form();
        int prefix = form.headerSize() + form.statusPrefixSize();
        return session.contexts().size() * (prefix + extentCount * form.descriptorSize());
    }

    private static int maxExtents(Request request) {
        return request.has(Command.FLAG_REQ_ONE) ? 1 : MAX_EXTENTS;
    }

    /**
     * The reply, which the caller releases.
     *
     * @param session its contexts, of which there is one at least, are those to tell of
     * @param now whether that must not take long
     * @return null if it would, and must not
     */
    static @Nullable ByteBuf make(
            Session session, ByteBufAllocator alloc, Request request, boolean now)
            throws IOException {
        Extents extents = new Extents(maxExtents(request));
        if (session.contexts().equals(List.of(MetaContext.ATOMIC_UNIT))) {
            extents.extent(ExtentState.DATA, request.length());
        } else {
            long most = MAX_BLOCKS * session.export().info().blockSize();
            long length = Math.min(request.length(), most);
            if (!session.extents(request.offset(), length, extents, now)) {
                return null;
            }
        }
        StatusReply reply = new StatusReply(session, request, extents);
        ByteBuf out = alloc.directBuffer((int) size(session, extents.count()));
        for (MetaContext context : session.contexts()) {
            reply.chunk(out, context, context == session.contexts().getLast());
        }
        return out;
    }

    private void chunk(ByteBuf out, MetaContext context, boolean done) {
        int start = out.writerIndex();
        ReplyForm form = session.form();
        out.writerIndex(start + form.headerSize() + form.statusPrefixSize());
        int count = descriptors(out, context);
        int end = out.writerIndex();
        Chunk chunk = new Chunk.BlockStatus(context.id(), count);
        ReplyEncoder.chunk(out.writerIndex(start), form, request, done, chunk);
        out.writerIndex(end);
    }

    /** Writes extents, as one where the context sees no difference; returns how many. */
    private int descriptors(ByteBuf out, MetaContext context) {
        ExportInfo info = session.export().info();
        int count = 0;
        for (int i = 0; i < extents.count(); count++) {
            int flags = context.flags(extents.state(i), info);
            long length = 0;
            do {
                length += extents.length(i);
                i++;
            } while (i < extents.count() && context.flags(extents.state(i), info) == flags);
            ReplyEncoder.descriptor(out, session.form(), length, flags);
        }
        return count;
    }
}
