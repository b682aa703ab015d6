package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The replies of one connection on their way to the socket. Those of a burst are flushed together,
 * the short ones in one buffer. Belongs to the connection's event loop.
 */
final class Replies {
    /** A reply up to this is worth copying beside others. */
    private static final int LONGEST_GATHERED = 512;

    private static final int GATHERED_SIZE = 4096;

    /** Room for 16 replies with 4 KiB of data; about what a socket takes at once. */
    private static final int BURST_SIZE = 66 << 10;

    /** Replies up to this are written side by side, where the caller can do that. */
    static final int LONGEST_IN_BURST = BURST_SIZE / 4;

    /** Bytes of short replies, which no budget counts, that wait for their client to read them. */
    private static final int MOST_UNCOUNTED = 64 << 10;

    private final Channel channel;
    private final LongConsumer written;
    private final Runnable hasRoom;

    /**
     * Replies that are not written yet, and of how many bytes the budget does and does not know.
     */
    private @Nullable ByteBuf gathered;

    private long gatheredCounted;
    private int gatheredUncounted;

    private int uncounted;
    private boolean unflushed;
    private long flushCount;
    private long writtenCount;

    /**
     * Begins with none.
     *
     * @param written gets the bytes in flight of replies that are in the socket, or never will be
     * @param hasRoom run by the loop when there is room again
     */
    Replies(Channel channel, LongConsumer written, Runnable hasRoom) {
        this.channel = channel;
        this.written = written;
        this.hasRoom = hasRoom;
    }

    /**
     * Takes over a reply.
     *
     * @param bytes in flight that it holds
     */
    void add(ByteBuf reply, long bytes) {
        if (reply.readableBytes() > LONGEST_GATHERED) {
            writeGathered();
            channel.write(reply).addListener(done -> written(bytes));
            unflushed = true;
        } else {
            written.accept(bytes);
            uncounted += reply.readableBytes();
            gather(reply);
        }
    }

    /**
     * Where a reply may be appended, which then is {@linkplain #appended told} here.
     *
     * @param length of the reply, up to {@link #LONGEST_IN_BURST} bytes
     * @param expectedCount of such replies that come together, at least 1
     */
    ByteBuf room(int length, int expectedCount) {
        ByteBuf before = gathered;
        if (before != null && before.writableBytes() >= length) {
            return before;
        }
        if (before != null && before.readableBytes() >= BURST_SIZE / 2) {
            flush();
        }
        return replaceGathered((int) Math.min(BURST_SIZE, (long) length * expectedCount));
    }

    /** A reply was appended where there is {@link #room}; it holds so many bytes in flight. */
    void appended(long bytes) {
        gatheredCounted += bytes;
    }

    private void gather(ByteBuf reply) {
        int length = reply.readableBytes();
        if (gathered != null
                && gathered.writableBytes() < length
                && gathered.capacity() >= GATHERED_SIZE) {
            writeGathered();
        }
        gatheredUncounted += length;
        if (gathered == null) {
            gathered = reply;
            return;
        }
        ByteBuf target =
                gathered.writableBytes() < length ? replaceGathered(GATHERED_SIZE) : gathered;
        target.writeBytes(reply);
        reply.release();
    }

    /** Has room for so many bytes behind what is gathered. */
    private ByteBuf replaceGathered(int room) {
        ByteBuf before = gathered;
        int kept = before == null ? 0 : before.readableBytes();
        ByteBuf larger = channel.alloc().directBuffer(kept + room);
        if (before != null) {
            larger.writeBytes(before);
            before.release();
        }
        gathered = larger;
        return larger;
    }

    private void writeGathered() {
        ByteBuf full = gathered;
        if (full == null) {
            return;
        }
        if (full.capacity() - full.readableBytes() > GATHERED_SIZE + full.readableBytes()) {
            // No client is to hold memory that it is not known to.
            full = replaceGathered(0);
        }
        gathered = null;
        int shortBytes = gatheredUncounted;
        long bytes = gatheredCounted;
        gatheredUncounted = 0;
        gatheredCounted = 0;
        channel.write(full).addListener(done -> gatheredWritten(shortBytes, bytes));
        unflushed = true;
    }

    private void written(long bytes) {
        writtenCount++;
        written.accept(bytes);
    }

    private void gatheredWritten(int shortBytes, long bytes) {
        written(bytes);
        boolean wasFull = uncounted > MOST_UNCOUNTED;
        uncounted -= shortBytes;
        if (wasFull && uncounted <= MOST_UNCOUNTED) {
            channel.eventLoop().execute(hasRoom);
        }
    }

    /** Whether the client has to read some of them before there are more. */
    boolean isFull() {
        return uncounted > MOST_UNCOUNTED || !channel.isWritable();
    }

    void flush() {
        writeGathered();
        if (unflushed) {
            unflushed = false;
            flushCount++;
            channel.flush();
        }
    }

    /** Grows when replies are sent. */
    long flushCount() {
        return flushCount;
    }

    /** Grows when replies are in the socket as a whole. */
    long writtenCount() {
        return writtenCount;
    }

    /** Drops what is not written yet: the connection is gone. */
    void release() {
        if (gathered != null) {
            gathered.release();
            gathered = null;
            written.accept(gatheredCounted);
        }
    }
}
