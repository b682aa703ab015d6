package pmemblk.nbd.protocol;

import io.netty.buffer.ByteBuf;
import org.jspecify.annotations.Nullable;

/** Writes replies of the transmission phase. */
public final class ReplyEncoder {
    /** Bytes of a simple reply, which precede the data of a READ. */
    public static final int SIMPLE_REPLY = 16;

    private static final int SIMPLE_MAGIC = 0x67446698;

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
}
