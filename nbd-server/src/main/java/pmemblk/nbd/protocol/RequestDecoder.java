package pmemblk.nbd.protocol;

import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads requests. */
public final class RequestDecoder {
    private static final int COMPACT_MAGIC = 0x25609513;
    private static final int COMPACT_SIZE = 28;
    private static final int EXTENDED_MAGIC = 0x21e41c71;
    private static final int EXTENDED_SIZE = 32;

    private RequestDecoder() {}

    /** Bytes of a header. */
    public static int headerSize(boolean extended) {
        return extended ? EXTENDED_SIZE : COMPACT_SIZE;
    }

    /**
     * Reads one header, or nothing and returns null if there is no whole one.
     *
     * @param extended whether headers are extended ones
     * @throws ProtocolException if there is something else, or a payload follows that is beyond all
     *     measure
     */
    public static @Nullable Request decode(ByteBuf in, boolean extended) throws ProtocolException {
        if (in.readableBytes() < headerSize(extended)) {
            return null;
        }
        int expected = extended ? EXTENDED_MAGIC : COMPACT_MAGIC;
        int magic = in.readInt();
        if (magic != expected) {
            throw new ProtocolException(
                    "request begins with %#x, expected %#x".formatted(magic, expected));
        }
        int flags = in.readUnsignedShort();
        Command command = Command.of(in.readUnsignedShort());
        long cookie = in.readLong();
        long offset = in.readLong();
        long length = extended ? in.readLong() : in.readUnsignedInt();
        boolean hasPayload =
                extended ? (flags & Command.FLAG_PAYLOAD_LEN) != 0 : command == Command.WRITE;
        // In extended headers the protocol wants no oversized payload to be read, whatever it is
        // of.
        long mostRead = extended ? Limits.PAYLOAD : Limits.SKIPPED_PAYLOAD;
        if (hasPayload && Long.compareUnsigned(length, mostRead) > 0) {
            throw new ProtocolException(
                    "payload of %s bytes, at most %d are read"
                            .formatted(Long.toUnsignedString(length), mostRead));
        }
        return new Request(command, flags, cookie, offset, length, hasPayload ? length : 0);
    }

    /**
     * Reads the payload of a BLOCK_STATUS that has one.
     *
     * @param payload 8 bytes and some times 4
     */
    public static StatusQuery statusQuery(ByteBuf payload) {
        long length = payload.readLong();
        List<Integer> contextIds = new ArrayList<>();
        while (payload.isReadable()) {
            contextIds.add(payload.readInt());
        }
        return new StatusQuery(length, contextIds);
    }
}
