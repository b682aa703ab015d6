package pmemblk.nbd.protocol;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Writes replies of the transmission phase. */
public final class ReplyEncoder {
    private static final int SIMPLE_MAGIC = 0x67446698;
    private static final int STRUCTURED_MAGIC = 0x668e33ef;
    private static final int EXTENDED_MAGIC = 0x6e8a278c;

    private static final int FLAG_DONE = 1;

    private static final int TYPE_NONE = 0;
    private static final int TYPE_OFFSET_DATA = 1;
    private static final int TYPE_OFFSET_HOLE = 2;
    private static final int TYPE_BLOCK_STATUS = 5;
    private static final int TYPE_BLOCK_STATUS_EXT = 6;
    private static final int TYPE_ERROR = 1 << 15 | 1;
    private static final int TYPE_ERROR_OFFSET = 1 << 15 | 2;

    private ReplyEncoder() {}

    /**
     * Writes a simple reply.
     *
     * @param error null if all went well
     */
    public static void simple(ByteBuf out, long cookie, @Nullable NbdError error) {
        out.writeInt(SIMPLE_MAGIC);
        out.writeInt(error == null ? 0 : error.code());
        out.writeLong(cookie);
    }

    /**
     * Writes a chunk of the reply to a request, all but what the caller puts behind it.
     *
     * @param form one that has chunks
     * @param done whether it is the reply's last
     */
    public static void chunk(
            ByteBuf out, ReplyForm form, Request request, boolean done, Chunk chunk) {
        switch (chunk) {
            case Chunk.None() -> header(out, form, request, done, TYPE_NONE, 0);
            case Chunk.Data(long offset, int length) -> {
                header(out, form, request, done, TYPE_OFFSET_DATA, Chunk.Data.PREFIX_SIZE + length);
                out.writeLong(offset);
            }
            case Chunk.Hole(long offset, int length) -> {
                header(out, form, request, done, TYPE_OFFSET_HOLE, Chunk.Hole.SIZE);
                out.writeLong(offset);
                out.writeInt(length);
            }
            case Chunk.BlockStatus(int contextId, int count) -> {
                int length = form.statusPrefixSize() + count * form.descriptorSize();
                boolean extended = form == ReplyForm.EXTENDED;
                int type = extended ? TYPE_BLOCK_STATUS_EXT : TYPE_BLOCK_STATUS;
                header(out, form, request, done, type, length);
                out.writeInt(contextId);
                if (extended) {
                    out.writeInt(count);
                }
            }
            case Chunk.Failure(NbdError error, String message) -> {
                int size = ByteBufUtil.utf8Bytes(message);
                header(out, form, request, done, TYPE_ERROR, Integer.BYTES + Short.BYTES + size);
                failure(out, error, size, message);
            }
            case Chunk.FailureAt(NbdError error, String message, long offset) -> {
                int size = ByteBufUtil.utf8Bytes(message);
                int length = Integer.BYTES + Short.BYTES + size + Long.BYTES;
                header(out, form, request, done, TYPE_ERROR_OFFSET, length);
                failure(out, error, size, message);
                out.writeLong(offset);
            }
        }
    }

    /**
     * Writes a descriptor of a {@link Chunk.BlockStatus}.
     *
     * @param length bytes of the extent, unsigned 32 bits if the form is not extended
     */
    public static void descriptor(ByteBuf out, ReplyForm form, long length, int flags) {
        if (form == ReplyForm.EXTENDED) {
            out.writeLong(length);
            out.writeLong(Integer.toUnsignedLong(flags));
        } else {
            out.writeInt((int) length);
            out.writeInt(flags);
        }
    }

    private static void header(
            ByteBuf out, ReplyForm form, Request request, boolean done, int type, int length) {
        boolean extended = form == ReplyForm.EXTENDED;
        out.writeInt(extended ? EXTENDED_MAGIC : STRUCTURED_MAGIC);
        out.writeShort(done ? FLAG_DONE : 0);
        out.writeShort(type);
        out.writeLong(request.cookie());
        if (extended) {
            out.writeLong(request.headerOffset());
            out.writeLong(length);
        } else {
            out.writeInt(length);
        }
    }

    private static void failure(ByteBuf out, NbdError error, int size, String message) {
        out.writeInt(error.code());
        out.writeShort(size);
        out.writeCharSequence(message, StandardCharsets.UTF_8);
    }
}
