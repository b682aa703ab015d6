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

    /** Bytes of short replies, which no budget counts, that wait for their client to read them. */
    private static final int MOST_UNCOUNTED = 64 << 10;

    private final Channel channel;
    private final LongConsumer written;
    private final Runnable hasRoom;

    /** Short replies that are not written yet. */
    private @Nullable ByteBuf gathered;

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

    private void gather(ByteBuf reply) {
        ByteBuf before = gathered;
        if (before == null) {
            gathered = reply;
            return;
        }
        int length = reply.readableBytes();
        if (before.writableBytes() < length) {
            if (before.capacity() >= GATHERED_SIZE) {
                writeGathered();
                gathered = reply;
                return;
            }
            before = larger(before);
        }
        before.writeBytes(reply);
        reply.release();
    }

    private ByteBuf larger(ByteBuf full) {
        ByteBuf larger = channel.alloc().directBuffer(GATHERED_SIZE).writeBytes(full);
        full.release();
        gathered = larger;
        return larger;
    }

    private void writeGathered() {
        ByteBuf full = gathered;
        if (full != null) {
            gathered = null;
            int length = full.readableBytes();
            channel.write(full).addListener(done -> gatheredWritten(length));
            unflushed = true;
        }
    }

    private void written(long bytes) {
        writtenCount++;
        written.accept(bytes);
    }

    private void gatheredWritten(int length) {
        writtenCount++;
        boolean wasFull = uncounted > MOST_UNCOUNTED;
        uncounted -= length;
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
        }
    }
}
