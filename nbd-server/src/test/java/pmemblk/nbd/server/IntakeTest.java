package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.ProtocolException;
import pmemblk.nbd.protocol.Request;

/** Requests out of received bytes, however these come in pieces. */
class IntakeTest {
    /** Counts its bytes itself: to have Netty trace every access takes minutes here. */
    private final UnpooledByteBufAllocator alloc = new UnpooledByteBufAllocator(true, true);

    private ReceiveBuffer received;
    private Intake intake;

    private record Taken(long cookie, String payload) {}

    @BeforeEach
    void prepare() {
        received = new ReceiveBuffer(alloc);
        received.begin();
        intake = new Intake(received, false);
    }

    @AfterEach
    void everythingIsReleased() {
        intake.release();
        assertEquals(0, alloc.metric().usedDirectMemory());
        assertEquals(0, alloc.metric().usedHeapMemory());
    }

    /** Does as a channel whose socket holds these bytes. */
    private void receive(byte[] bytes, int from, int to) {
        int at = from;
        while (at < to) {
            ByteBuf into = received.allocate(alloc);
            int count = Math.min(into.writableBytes(), to - at);
            into.writeBytes(bytes, at, count);
            received.add(into);
            at += count;
            // The channel hands over each receive before it does the next.
            takeAll();
        }
    }

    private final List<Taken> taken = new ArrayList<>();

    private void takeAll() {
        try {
            for (Taken next = take(); next != null; next = take()) {
                taken.add(next);
            }
        } catch (ProtocolException e) {
            throw new AssertionError(e);
        }
    }

    private @Nullable Taken take() throws ProtocolException {
        Request request = intake.request();
        if (request == null) {
            request = intake.decode();
        }
        if (request == null) {
            return null;
        }
        ByteBuf payload = Unpooled.EMPTY_BUFFER;
        if (blocks != null && request.payloadLength() > 0 && !intake.isCollecting()) {
            request = takeBlocks(blocks, request);
        }
        if (request.payloadLength() > 0) {
            if (blocks != null && !intake.isCollecting()) {
                return null;
            }
            payload = intake.payload(alloc, (int) request.payloadLength(), 0);
        }
        if (payload == null) {
            return null;
        }
        intake.done();
        String bytes = beginning + ByteBufUtil.hexDump(payload);
        beginning.setLength(0);
        payload.release();
        return new Taken(request.cookie(), bytes);
    }

    /** Whether, and how, blocks are taken as they come. */
    private @Nullable SplittableRandom blocks;

    /** Of the payload that is being taken, the blocks that were. */
    private final StringBuilder beginning = new StringBuilder();

    /** Takes the blocks that are there, and sometimes leaves the rest to come as a whole. */
    private Request takeBlocks(SplittableRandom random, Request request) {
        Request rest = request;
        int count = intake.arrived(alloc, 520);
        while (count > 0 && random.nextInt(20) > 0) {
            long end = rest.offset() + count;
            assertTrue(count == rest.payloadLength() || end % 520 == 0, () -> "ends at " + end);
            beginning.append(ByteBufUtil.hexDump(Unpooled.wrappedBuffer(intake.peek(count))));
            intake.advance(count);
            rest = Objects.requireNonNull(intake.request());
            count = rest.payloadLength() == 0 ? 0 : intake.arrived(alloc, 520);
        }
        if (count > 0) {
            intake.collect();
        }
        return rest;
    }

    private static byte[] write(long cookie, byte[] payload) {
        ByteBuf out = Unpooled.buffer();
        out.writeInt(0x25609513).writeShort(0).writeShort(Command.WRITE.code());
        out.writeLong(cookie).writeLong(0).writeInt(payload.length).writeBytes(payload);
        return ByteBufUtil.getBytes(out);
    }

    private static byte[] random(SplittableRandom random, int length) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    @Test
    void requestsSurviveEverySplit() {
        requireRequestsSurviveSplits(1);
    }

    @Test
    void requestsSurviveEverySplitOfWhatTlsHasDecrypted() {
        received.beginTls();
        requireRequestsSurviveSplits(5);
    }

    @Test
    void blocksSurviveEverySplit() {
        blocks = new SplittableRandom(1);
        requireRequestsSurviveSplits(1);
    }

    @Test
    void blocksSurviveEverySplitOfWhatTlsHasDecrypted() {
        blocks = new SplittableRandom(2);
        received.beginTls();
        requireRequestsSurviveSplits(5);
    }

    /** Of five pieces, so many are received by somebody else and handed over. */
    private void requireRequestsSurviveSplits(int handedOver) {
        for (long seed = 0; seed < 40; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            int longestPiece = 2 << random.nextInt(20);
            int longestPayload = Math.min(1_200_000, 200 * longestPiece);
            taken.clear();
            List<byte[]> payloads = new ArrayList<>();
            ByteBuf stream = alloc.heapBuffer();
            for (int i = 0; i < 60; i++) {
                int longest = random.nextInt(10) == 0 ? longestPayload : 1 + longestPayload / 70;
                payloads.add(random(random, random.nextInt(longest)));
                stream.writeBytes(write(i, payloads.getLast()));
            }
            byte[] bytes = ByteBufUtil.getBytes(stream);
            stream.release();
            int at = 0;
            while (at < bytes.length) {
                int next = Math.min(bytes.length, at + 1 + random.nextInt(longestPiece));
                if (random.nextInt(5) < handedOver) {
                    received.add(alloc.heapBuffer().writeBytes(bytes, at, next - at));
                    takeAll();
                } else {
                    receive(bytes, at, next);
                }
                if (random.nextBoolean()) {
                    received.trim();
                }
                at = next;
            }

            assertEquals(payloads.size(), taken.size(), "seed " + seed);
            for (int i = 0; i < payloads.size(); i++) {
                Taken expected = new Taken(i, ByteBufUtil.hexDump(payloads.get(i)));
                assertEquals(expected, taken.get(i), "seed " + seed);
            }
        }
    }

    @Test
    void sliceOutlivesWhatIsReceivedAfterIt() throws ProtocolException {
        SplittableRandom random = new SplittableRandom(1);
        byte[] payload = random(random, 50_000);
        ByteBuf into = received.allocate(alloc);
        into.writeBytes(write(1, payload));
        received.add(into);
        intake.decode();
        ByteBuf kept = Objects.requireNonNull(intake.payload(alloc, payload.length, 0));
        intake.done();

        for (int i = 0; i < 20; i++) {
            byte[] more = write(i, random(random, 30_000));
            receive(more, 0, more.length);
        }
        received.trim();

        assertArrayEquals(payload, ByteBufUtil.getBytes(kept));
        kept.release();
    }

    @Test
    void restOfALongPayloadIsReceivedWhereItStays() throws ProtocolException {
        byte[] payload = random(new SplittableRandom(2), 1 << 20);
        byte[] bytes = write(1, payload);
        receive(bytes, 0, 100_000);

        ByteBuf target = received.allocate(alloc);
        assertEquals(bytes.length - 100_000, target.writableBytes());
        target.writeBytes(bytes, 100_000, bytes.length - 100_000);
        received.add(target);

        ByteBuf whole = Objects.requireNonNull(intake.payload(alloc, payload.length, 0));
        assertSame(target, whole);
        assertArrayEquals(payload, ByteBufUtil.getBytes(whole));
        intake.done();
        whole.release();
    }

    @Test
    void restOfALongPayloadIsDecryptedToWhereItStays() throws ProtocolException {
        received.beginTls();
        byte[] payload = random(new SplittableRandom(3), 1 << 20);
        byte[] bytes = write(1, payload);
        received.add(alloc.heapBuffer().writeBytes(bytes, 0, 100_000));
        takeAll();

        received.add(alloc.heapBuffer().writeBytes(bytes, 100_000, bytes.length - 100_000 - 1));
        assertEquals(0, received.bytes().readableBytes());
        received.add(alloc.heapBuffer().writeBytes(bytes, bytes.length - 1, 1).writeInt(77));

        ByteBuf whole = Objects.requireNonNull(intake.payload(alloc, payload.length, 0));
        assertArrayEquals(payload, ByteBufUtil.getBytes(whole));
        assertEquals(77, received.bytes().readInt());
        intake.done();
        whole.release();
    }

    @Test
    void idleConnectionHoldsNoMemory() throws ProtocolException {
        byte[] bytes = write(1, new byte[100]);
        receive(bytes, 0, bytes.length);
        assertEquals(1, taken.size());

        received.trim();

        assertEquals(0, alloc.metric().usedDirectMemory());
        assertNull(intake.decode());
    }
}
