package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.protocol.ProtocolException;
import pmemblk.nbd.protocol.Request;
import pmemblk.nbd.protocol.RequestDecoder;

/**
 * What one connection has received and not yet taken: bytes, the request at their head, and as much
 * of its payload as there is. Belongs to the connection's event loop.
 *
 * <p>A payload that came in one piece stays where it was received; one that came in several is put
 * together in a buffer of its own, which then takes bytes straight from each piece.
 */
final class Intake {
    private @Nullable ByteBuf received;

    /** The request whose header was read, until it is {@link #done}. */
    private @Nullable Request request;

    private @Nullable ByteBuf payload;
    private long skipping;

    /** Adds what was received; takes over the buffer. */
    void add(ByteBufAllocator alloc, ByteBuf more) {
        if (received == null) {
            received = more;
        } else if (!received.isReadable()) {
            received.release();
            received = more;
        } else {
            ByteBuf joined = alloc.directBuffer(received.readableBytes() + more.readableBytes());
            joined.writeBytes(received).writeBytes(more);
            received.release();
            more.release();
            received = joined;
        }
    }

    /** The request that is being taken, or null. */
    @Nullable Request request() {
        return request;
    }

    /** Reads the header of the next request; null if there is no whole one. */
    @Nullable Request decode() throws ProtocolException {
        request = received == null ? null : RequestDecoder.decode(received);
        releaseIfEmpty();
        return request;
    }

    /** The payload of the request, which the caller releases; null if it is not all there. */
    @Nullable ByteBuf payload(ByteBufAllocator alloc, int length) {
        int available = received == null ? 0 : received.readableBytes();
        if (payload == null && received != null && available >= length) {
            ByteBuf whole = received.readRetainedSlice(length);
            releaseIfEmpty();
            return whole;
        }
        if (payload == null) {
            payload = alloc.directBuffer(length, length);
        }
        if (received != null) {
            payload.writeBytes(received, Math.min(available, payload.writableBytes()));
            releaseIfEmpty();
        }
        if (payload.isWritable()) {
            return null;
        }
        ByteBuf whole = payload;
        payload = null;
        return whole;
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
        if (received != null) {
            int count = (int) Math.min(skipping, received.readableBytes());
            received.skipBytes(count);
            skipping -= count;
            releaseIfEmpty();
        }
        return skipping == 0;
    }

    private void releaseIfEmpty() {
        if (received != null && !received.isReadable()) {
            received.release();
            received = null;
        }
    }

    /** Releases all that was received. */
    void release() {
        if (received != null) {
            received.release();
            received = null;
        }
        if (payload != null) {
            payload.release();
            payload = null;
        }
        request = null;
    }
}
