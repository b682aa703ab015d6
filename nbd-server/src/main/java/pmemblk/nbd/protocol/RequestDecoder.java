package pmemblk.nbd.protocol;

import io.netty.buffer.ByteBuf;
import org.jspecify.annotations.Nullable;

/** Reads the headers of requests. */
public final class RequestDecoder {
    private static final int MAGIC = 0x25609513;
    private static final int SIZE = 28;

    private RequestDecoder() {}

    /**
     * Reads one header, or nothing and returns null if there is no whole one.
     *
     * @throws ProtocolException if there is something else
     */
    public static @Nullable Request decode(ByteBuf in) throws ProtocolException {
        if (in.readableBytes() < SIZE) {
            return null;
        }
        int magic = in.readInt();
        if (magic != MAGIC) {
            throw new ProtocolException(
                    "request begins with %#x, expected %#x".formatted(magic, MAGIC));
        }
        int flags = in.readUnsignedShort();
        Command command = Command.of(in.readUnsignedShort());
        return new Request(command, flags, in.readLong(), in.readLong(), in.readUnsignedInt());
    }
}
