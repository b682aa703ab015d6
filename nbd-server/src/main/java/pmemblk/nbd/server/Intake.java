package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.nio.ByteBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.protocol.ProtocolException;
import pmemblk.nbd.protocol.Request;
import pmemblk.nbd.protocol.RequestDecoder;

/**
 * The request at the head of what one connection has received, and as much of its payload as there
 * is. Belongs to the connection's event loop.
 *
 * <p>A payload that fits where it is received stays there; a longer one gets a buffer of its own,
 * to which the socket's bytes then go straight. That may be one for a piece of it, if whoever takes
 * the request deals with blocks as they {@linkplain #arrived arrive}.
 */
final class Intake {
    /** Bytes of a long payload that are received together, at most. */
    private static final int PIECE_SIZE = 512 << 10;

    private final ReceiveBuffer received;
    private final boolean extended;

    /** The request whose header was read, until it is {@link #done}. */
    private @Nullable Request request;

    /** What comes of the payload goes there; null if it goes to where all is received. */
    private @Nullable ByteBuf payload;

    /** Whether the payload is to be there as a whole. */
    private boolean collecting;

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
        if (filling != null && filling.capacity() - filling.readerIndex() < length) {
            filling = alloc.directBuffer(length, length).writeBytes(filling);
            replaceTarget(filling);
        } else if (filling == null) {
            if (bytes.readableBytes() >= length) {
                return received.isScattered(inFlight)
                        ? alloc.directBuffer(length).writeBytes(bytes, length)
                        : bytes.readRetainedSlice(length);
            }
            if (received.hasRoomFor(length)) {
                return null;
            }
            filling = alloc.directBuffer(length, length);
            replaceTarget(filling);
        }
        filling.writeBytes(bytes, Math.min(bytes.readableBytes(), filling.writableBytes()));
        if (filling.isWritable()) {
            return null;
        }
        payload = null;
        received.receiveInto(null);
        return filling;
    }

    /** From here on, what comes goes to this buffer, which is owned here; null for none. */
    private void replaceTarget(@Nullable ByteBuf target) {
        if (payload != null) {
            payload.release();
        }
        payload = target;
        received.receiveInto(target);
    }

    /**
     * How many bytes of the payload have arrived, up to the last end of a block, or of the payload:
     * those that {@link #peek} shows, and {@link #advance} leaves behind.
     */
    int arrived(ByteBufAllocator alloc, int blockSize) {
        Request current = Objects.requireNonNull(request);
        int length = (int) current.payloadLength();
        if (payload == null
                && received.bytes().readableBytes() < length
                && !received.hasRoomFor(length)) {
            int size = upToBlockEnd(current, Math.min(length, PIECE_SIZE), blockSize);
            ByteBuf piece = alloc.directBuffer(size, size);
            replaceTarget(piece);
            piece.writeBytes(received.bytes(), Math.min(size, received.bytes().readableBytes()));
        }
        return upToBlockEnd(current, Math.min(length, beginning().readableBytes()), blockSize);
    }

    private static int upToBlockEnd(Request request, int count, int blockSize) {
        return count == request.payloadLength()
                ? count
                : Math.max(0, count - (int) ((request.offset() + count) % blockSize));
    }

    /** Where the next bytes of the payload are. */
    private ByteBuf beginning() {
        return payload == null ? received.bytes() : payload;
    }

    /** The next so many bytes of the payload, which have arrived. */
    ByteBuffer peek(int count) {
        ByteBuf bytes = beginning();
        return bytes.nioBuffer(bytes.readerIndex(), count);
    }

    /** So many bytes of the payload were dealt with: the request is about the rest from here on. */
    void advance(int count) {
        ByteBuf bytes = beginning().skipBytes(count);
        request = Objects.requireNonNull(request).after(count);
        if (payload != null && !bytes.isReadable() && !bytes.isWritable()) {
            replaceTarget(null);
        }
    }

    /** The rest of the payload is to be there as a whole. */
    void collect() {
        collecting = true;
    }

    boolean isCollecting() {
        return collecting;
    }

    /** The request was taken, or refused. */
    void done() {
        request = null;
        collecting = false;
    }

    /** The next so many bytes are the payload of a request that was refused. */
    void skipLater(long length) {
        int arrived = payload == null ? 0 : payload.readableBytes();
        replaceTarget(null);
        skipping = length - arrived;
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
        replaceTarget(null);
        received.release();
        request = null;
    }
}
