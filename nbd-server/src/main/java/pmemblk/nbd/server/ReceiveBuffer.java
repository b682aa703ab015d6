package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelConfig;
import io.netty.channel.RecvByteBufAllocator;
import io.netty.util.UncheckedBooleanSupplier;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of one connection that were received and not yet taken, and where the channel receives
 * to: its free end, or the rest of a long payload. So nothing is copied between socket and request.
 *
 * <p>Slices of it may outlive a burst: bytes are never moved under them, a new chunk is begun
 * instead, and what slices keep of old ones is bounded. Between bursts an idle connection holds no
 * memory. Until {@link #begin}, and for what TLS has to decrypt first, the channel gets a buffer of
 * its own for each receive. Belongs to the connection's event loop.
 */
final class ReceiveBuffer implements RecvByteBufAllocator, RecvByteBufAllocator.ExtendedHandle {
    /** Holds a request of 128 KiB with its header, or thirty of 4 KiB. */
    private static final int CHUNK_SIZE = 132 << 10;

    /** Less room than this at the end of a chunk is not worth a system call. */
    private static final int LEAST_ROOM = 4096;

    private static final int HANDSHAKE_SIZE = 2048;

    /** Holds three or four TLS records of 16 KiB. */
    private static final int TLS_SIZE = 64 << 10;

    /** Chunks that a connection may keep for slices, however small these are. */
    private static final long SPARE_CHUNKS = 2;

    /** Receives in a row before other connections of the loop get their turn. */
    private static final int RECEIVES_PER_TURN = 4;

    private final ByteBufAllocator alloc;
    private boolean begun;
    private boolean tls;
    private @Nullable ByteBuf chunk;
    private @Nullable ByteBuf target;

    /** Chunks that were left behind full, and of which slices may still be in use. */
    private final List<ByteBuf> leftBehind = new ArrayList<>(0);

    private @Nullable ChannelConfig config;
    private int receiveCount;
    private long total;
    private int lastBytesRead;
    private int attemptedBytesRead;

    ReceiveBuffer(ByteBufAllocator alloc) {
        this.alloc = alloc;
    }

    /** From now on the channel receives here. */
    void begin() {
        begun = true;
    }

    /** From now on what the channel receives is encrypted, and what is added here is not. */
    void beginTls() {
        tls = true;
    }

    /** What is to be taken; stays owned here. */
    ByteBuf bytes() {
        return chunk == null ? Unpooled.EMPTY_BUFFER : chunk;
    }

    /** Whether the next so many bytes will be, or are, in one piece here. */
    boolean hasRoomFor(int length) {
        compact();
        ByteBuf current = chunk;
        int room = current == null ? CHUNK_SIZE : current.capacity() - current.readerIndex();
        return room >= length;
    }

    /** What comes next goes to the writable bytes of this buffer; null for here again. */
    void receiveInto(@Nullable ByteBuf newTarget) {
        target = newTarget;
    }

    /** Bytes that the channel has received in all. */
    long total() {
        return total;
    }

    /** Takes over what the channel has read, or what a handler before this one has left. */
    @SuppressWarnings("ReferenceEquality") // it is the buffer itself that was lent, or another
    void add(ByteBuf received) {
        try {
            if (received == chunk || received == target) {
                return;
            }
            // A target is there only while all before it has gone to it.
            if (target != null) {
                int fitting = Math.min(received.readableBytes(), target.writableBytes());
                target.writeBytes(received, fitting);
            }
            if (received.isReadable()) {
                roomFor(received.readableBytes()).writeBytes(received);
            }
        } finally {
            received.release();
        }
    }

    /**
     * Whether slices that are in use keep chunks that would hold much more than what is in flight,
     * so that it is better to copy what comes next.
     *
     * @param inFlight bytes
     */
    boolean isScattered(long inFlight) {
        forget();
        return (long) leftBehind.size() * CHUNK_SIZE > SPARE_CHUNKS * CHUNK_SIZE + inFlight;
    }

    /** Gives back chunks that nobody uses any more. */
    private void forget() {
        leftBehind.removeIf(old -> old.refCnt() == 1 && old.release());
    }

    /** Gives back the memory if nothing is in it; to be called between bursts. */
    void trim() {
        forget();
        if (chunk != null && !chunk.isReadable() && chunk.refCnt() == 1) {
            chunk.release();
            chunk = null;
        }
    }

    void release() {
        leftBehind.forEach(ByteBuf::release);
        leftBehind.clear();
        if (chunk != null) {
            chunk.release();
            chunk = null;
        }
    }

    @Override
    public ExtendedHandle newHandle() {
        return this;
    }

    @Override
    public ByteBuf allocate(ByteBufAllocator ignored) {
        if (tls || !begun) {
            return alloc.directBuffer(guess());
        }
        return target != null ? target.retain() : roomFor(1).retain();
    }

    /** The chunk, with so many bytes free at its end. */
    private ByteBuf roomFor(int length) {
        compact();
        ByteBuf current = chunk;
        if (current != null && current.writableBytes() >= length && !isSpent(current)) {
            return current;
        }
        int kept = current == null ? 0 : current.readableBytes();
        // What is kept may be more than a chunk, where the input ends before it is taken.
        int room = kept <= CHUNK_SIZE / 2 ? length : CHUNK_SIZE;
        ByteBuf next = alloc.directBuffer(Math.max(kept + Math.max(room, length), CHUNK_SIZE));
        if (current != null) {
            next.writeBytes(current);
            leftBehind.add(current);
            forget();
        }
        chunk = next;
        return next;
    }

    /** Begins the chunk anew, if it is spent and nobody has a slice of it. */
    private void compact() {
        ByteBuf current = chunk;
        if (current != null
                && current.refCnt() == 1
                && (isSpent(current) || !current.isReadable())) {
            current.discardReadBytes();
        }
    }

    /** Whether beginning a new chunk is cheaper than a receive into what is left of this one. */
    private static boolean isSpent(ByteBuf chunk) {
        return chunk.writableBytes() < LEAST_ROOM && chunk.readableBytes() < LEAST_ROOM;
    }

    @Override
    public int guess() {
        return tls ? TLS_SIZE : begun ? CHUNK_SIZE : HANDSHAKE_SIZE;
    }

    @Override
    public void reset(ChannelConfig channelConfig) {
        config = channelConfig;
        receiveCount = 0;
    }

    @Override
    public void incMessagesRead(int count) {
        receiveCount += count;
    }

    @Override
    public void lastBytesRead(int bytes) {
        lastBytesRead = bytes;
        total += Math.max(0, bytes);
    }

    @Override
    public int lastBytesRead() {
        return lastBytesRead;
    }

    @Override
    public void attemptedBytesRead(int bytes) {
        attemptedBytesRead = bytes;
    }

    @Override
    public int attemptedBytesRead() {
        return attemptedBytesRead;
    }

    /** A receive that was not filled has emptied the socket. */
    @Override
    public boolean continueReading() {
        return config != null
                && config.isAutoRead()
                && receiveCount < RECEIVES_PER_TURN
                && lastBytesRead > 0
                && lastBytesRead == attemptedBytesRead;
    }

    @Override
    public boolean continueReading(UncheckedBooleanSupplier maybeMoreData) {
        return continueReading();
    }

    @Override
    public void readComplete() {
        // The size of the next receive does not depend on the last.
    }
}
