package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledByteBufAllocator;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.ExtentState;
import pmemblk.nbd.export.ExtentVisitor;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;

/** What a BLOCK_STATUS of a large export costs. */
class StatusReplyTest {
    private static final int BLOCK = 4096;
    private static final ExportInfo LARGE = new ExportInfo(1L << 50, BLOCK, BLOCK, false, "large");

    /** Data and zeroes in turn, in runs of so many blocks; remembers what it was asked for. */
    private static final class StripedExport extends DescribedExport {
        private final long runLength;
        private long told;

        StripedExport(long blocks) {
            super(LARGE);
            runLength = blocks * BLOCK;
        }

        @Override
        public void extents(long offset, long length, ExtentVisitor visitor) {
            ExtentState state = ExtentState.DATA;
            for (boolean more = true; more && told < length; ) {
                long run = Math.min(length - told, runLength);
                more = visitor.extent(state, run);
                told += run;
                state = state == ExtentState.DATA ? ExtentState.ZERO : ExtentState.DATA;
            }
        }
    }

    private static ByteBuf reply(StripedExport export, int flags) throws IOException {
        Session session =
                new Session("large", export, ReplyForm.STRUCTURED, List.of(MetaContext.ALLOCATION));
        Request request = new Request(Command.BLOCK_STATUS, flags, 1, 0, 1L << 40);
        ByteBuf reply =
                Objects.requireNonNull(
                        StatusReply.make(
                                session, UnpooledByteBufAllocator.DEFAULT, request, false));
        assertTrue(reply.readableBytes() <= StatusReply.maxSize(session, request));
        assertEquals(reply.readableBytes(), reply.capacity());
        return reply;
    }

    @Test
    void replyTellsOfSoManyExtentsAndNoMore() throws IOException {
        StripedExport export = new StripedExport(1);

        ByteBuf reply = reply(export, 0);

        assertEquals(20 + 4 + 8 * StatusReply.MAX_EXTENTS, reply.readableBytes());
        assertEquals((StatusReply.MAX_EXTENTS + 1L) * BLOCK, export.told);
        reply.release();
    }

    @Test
    void soManyBlocksAreLookedAtAndNoMore() throws IOException {
        StripedExport export = new StripedExport(1 << 30);

        reply(export, 0).release();

        assertEquals(StatusReply.MAX_BLOCKS * BLOCK, export.told);
    }

    @Test
    void oneExtentCostsNoMoreThanItsBlocks() throws IOException {
        StripedExport export = new StripedExport(3);

        ByteBuf reply = reply(export, Command.FLAG_REQ_ONE);

        assertEquals(20 + 4 + 8, reply.readableBytes());
        assertEquals(3 * BLOCK, reply.getInt(24));
        assertEquals(6 * BLOCK, export.told);
        reply.release();
    }
}
