package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.embedded.EmbeddedChannel;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RepliesTest {
    private final EmbeddedChannel channel = new EmbeddedChannel();
    private final AtomicLong given = new AtomicLong();
    private final AtomicInteger room = new AtomicInteger();
    private final Replies replies = new Replies(channel, given::addAndGet, room::incrementAndGet);

    @AfterEach
    void close() {
        replies.release();
        channel.finishAndReleaseAll();
    }

    @BeforeEach
    void haveRoomForMoreThanTheLimit() {
        channel.config().setWriteBufferWaterMark(new WriteBufferWaterMark(1 << 20, 1 << 21));
    }

    private void add(int first, int length, long bytes) {
        ByteBuf reply = Unpooled.buffer(length);
        replies.add(reply.writeByte(first).writeZero(length - 1), bytes);
    }

    /** The first bytes of the replies that were sent, all of this length, in order. */
    private String sent(int length) {
        StringBuilder firsts = new StringBuilder();
        for (ByteBuf out = channel.readOutbound(); out != null; out = channel.readOutbound()) {
            while (out.isReadable()) {
                firsts.append(out.readByte()).append(' ');
                out.skipBytes(length - 1);
            }
            out.release();
        }
        return firsts.toString();
    }

    @Test
    void shortRepliesThatAreNotReadAreBounded() {
        int count = 0;
        while (!replies.isFull()) {
            add(1, 16, 0);
            count++;
        }

        assertEquals((64 << 10) / 16 + 1, count);
        replies.flush();
        assertFalse(replies.isFull());
        channel.runPendingTasks();
        assertEquals(1, room.get());
        assertEquals(2 * count, sent(16).length());
    }

    @Test
    void repliesAreSentInOrderAndTheShortOnesTogether() {
        add(1, 600, 0);
        add(2, 300, 0);
        add(3, 300, 0);
        add(4, 300, 0);
        add(5, 600, 0);
        add(6, 300, 0);
        replies.flush();

        assertEquals(4, channel.outboundMessages().size());
        assertEquals("1 0 2 3 4 5 0 6 ", sent(300));
    }

    @Test
    void longReplyHoldsItsBytesUntilItIsWrittenAndAShortOneDoesNot() {
        add(1, 600, 600);
        assertEquals(0, given.get());
        add(2, 16, 5000);
        assertEquals(5000, given.get());
        replies.flush();
        assertEquals(5600, given.get());
        assertTrue(replies.writtenCount() >= 2);
    }

    private void append(int first, int length, int expectedCount) {
        ByteBuf room = replies.room(length, expectedCount);
        assertTrue(room.writableBytes() >= length);
        room.writeByte(first).writeZero(length - 1);
        replies.appended(length);
    }

    @Test
    void appendedRepliesAreSentTogetherWithShortOnesAndHoldTheirBytesUntilThen() {
        add(1, 500, 0);
        append(2, 1000, 3);
        append(3, 1000, 2);
        add(4, 500, 0);
        append(5, 1000, 1);
        assertEquals(0, given.get());
        replies.flush();

        assertEquals(1, channel.outboundMessages().size());
        assertEquals("1 2 0 3 0 4 5 0 ", sent(500));
        assertEquals(3000, given.get());
    }

    @Test
    void burstIsSentWhenItsBufferIsFull() {
        for (int i = 0; i < 17; i++) {
            append(i, 4096 + 16, 17 - i);
        }

        assertEquals(1, channel.outboundMessages().size());
        replies.flush();
        assertEquals(17, sent(4096 + 16).split(" ").length);
    }

    /** Else many small reads would hold more memory than they are counted for. */
    @Test
    void bufferThatStayedAlmostEmptyIsNotKept() {
        append(1, 100, 1000);
        replies.flush();

        ByteBuf sent = channel.readOutbound();
        assertTrue(sent.capacity() <= 2 * sent.readableBytes() + 4096);
        sent.release();
    }

    @Test
    void appendedRepliesThatAreNeverSentGiveTheirBytesBack() {
        append(1, 1000, 1);
        replies.release();

        assertEquals(1000, given.get());
    }
}
