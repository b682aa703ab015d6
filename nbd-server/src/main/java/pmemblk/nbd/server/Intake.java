package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.protocol.ProtocolException;
import pmemblk.nbd.protocol.Request;
import pmemblk.nbd.protocol.RequestDecoder;

/**
 * The request at the head of what one connection has received, and as much of its payload as there
 * is. Belongs to the connection's event loop.
 *
 * <p>A payload that fits where it is received stays there; a longer one gets a buffer of its own,
 * to which the socket's bytes then go straight.
 */
final class Intake {
    private final ReceiveBuffer received;
    private final boolean extended;

    /** The request whose header was read, until it is {@link #done}. */
    private @Nullable Request request;

    private @Nullable ByteBuf payload;
    private long skipping;

    /**
     * Begins with nothing.
     *
     * @param extended whether requests have extended headers
     */
    Intake(ReceiveBuffer received, boolean extended) {
        this.received = received;
        this.extended = extended;
    }

    /** The request that is being taken, or null. */
    @Nullable Request request() {
        return request;
    }

    /** How many requests wait here at most, going by their headers. */
    int waitingCount() {
        return received.bytes().readableBytes() / RequestDecoder.headerSize(extended);
    }

    /** Reads the header of the next request; null if there is no whole one. */
    @Nullable Request decode() throws ProtocolException {
        request = RequestDecoder.decode(received.bytes(), extended);
        return request;
    }

    /**
     * The payload of the request, which the caller releases; null if it is not all there.
     *
     * @param inFlight bytes of requests and replies that the connection holds
     */
    @Nullable ByteBuf payload(ByteBufAllocator alloc, int length, long inFlight) {
        ByteBuf bytes = received.bytes();
        ByteBuf filling = payload;
        if (filling == null) {
            if (bytes.readableBytes() >= length) {
                return received.isScattered(inFlight)
                        ? alloc.directBuffer(length).writeBytes(bytes, length)
                        : bytes.readRetainedSlice(length);
            }
            if (received.hasRoomFor(length)) {
                return null;
            }
            filling = alloc.directBuffer(length, length);
            payload = filling;
            received.receiveInto(filling);
        }
        filling.writeBytes(bytes, Math.min(bytes.readableBytes(), filling.writableBytes()));
        if (filling.isWritable()) {
            return null;
        }
        payload = null;
        received.receiveInto(null);
        return filling;
    }

    /** The request was taken, or refused. */
    void done() {
        request = null;
    }

    /** The next so many bytes are the payload of a request that was refused. */
    void skipLater(long length) {
        skipping = length;
    }

    boolean isSkipping() {
        return skipping > 0;
    }

    /** Skips what there is; false if there is more to skip. */
    boolean skip() {
        ByteBuf bytes = received.bytes();
        int count = (int) Math.min(skipping, bytes.readableBytes());
        bytes.skipBytes(count);
        skipping -= count;
        return skipping == 0;
    }

    /** Releases all that was received. */
    void release() {
        received.receiveInto(null);
        received.release();
        if (payload != null) {
            payload.release();
            payload = null;
        }
        request = null;
    }
}
