package pmemblk.it;

import java.io.EOFException;
import java.io.IOException;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import org.opentest4j.AssertionFailedError;

/**
 * One connection of a {@link VerifiedLoad}. The blocks of its own it writes in whole and in part,
 * one or several at a time, never two requests on one of them at once; the shared ones in whole;
 * and its parts of blocks at the same time as others do theirs.
 */
final class LoadClient {
    private static final int DEPTH = 8;
    private static final int MOST_BLOCKS_A_REQUEST = 6;
    private static final byte[] NOTHING = {};

    private final NbdConnection connection;
    private final Share share;
    private final BlockOracle blocks;
    private final BlockOracle parts;
    private final Mix mix;
    private final SplittableRandom random;
    private final CountDownLatch answered;
    private final Map<Long, Request> underWay = new HashMap<>();

    /** Where cells lie of which a request is under way. */
    private final Set<Long> busy = new HashSet<>();

    /** What connection {@code index} of {@code count} may change. */
    record Share(BlockOracle blocks, BlockOracle parts, int index, int count) {
        int firstOwnBlock() {
            return index * VerifiedLoad.OWN_BLOCKS;
        }

        int firstSharedBlock() {
            return count * VerifiedLoad.OWN_BLOCKS;
        }

        int part(int number) {
            return number * count + index;
        }

        int partCount() {
            return parts.cellCount() / count;
        }
    }

    /** How many changes of a hundred have FUA, and how many requests of a hundred are a FLUSH. */
    record Mix(int fuaPercent, int flushPercent) {
        private static final int[] FUA = {0, 3, 50};
        private static final int[] FLUSH = {0, 1, 10};

        /** Nothing is flushed, all of the time something is, or whatever lies between. */
        static Mix any(SplittableRandom random) {
            return new Mix(FUA[random.nextInt(FUA.length)], FLUSH[random.nextInt(FLUSH.length)]);
        }
    }

    /** The server has said that it stops: what is under way is still answered. */
    private boolean refused;

    /** What a reply will mean: contents that are there, or a block that was read. */
    private record Request(List<BlockOracle.Version> changes, int readBlock) {
        static final int NONE = -1;
    }

    LoadClient(
            NbdConnection connection,
            Share share,
            Mix mix,
            SplittableRandom random,
            CountDownLatch answered) {
        this.connection = connection;
        this.share = share;
        this.blocks = share.blocks;
        this.parts = share.parts;
        this.mix = mix;
        this.random = random;
        this.answered = answered;
    }

    /** Sends and receives until the server is gone. */
    void run() throws IOException {
        try (connection) {
            while (true) {
                if (underWay.size() < DEPTH && !refused) {
                    sendAny();
                } else {
                    receive();
                }
            }
        } catch (EOFException | SocketException serverIsGone) {
            // As the test wants it: what was replied to until then is in the oracle.
            return;
        }
    }

    private void sendAny() throws IOException {
        if (random.nextInt(100) < mix.flushPercent) {
            change(NbdConnection.FLUSH, 0, 0, NOTHING, List.of());
            return;
        }
        switch (random.nextInt(20)) {
            case 0, 1 -> read();
            case 2, 3, 4 -> changeShared();
            case 5, 6, 7 -> writePart();
            case 8, 9, 10 -> zeroOwn();
            default -> writeOwn();
        }
    }

    /** A block that others write, trim and zero at the same time. */
    private void changeShared() throws IOException {
        int block = share.firstSharedBlock() + random.nextInt(VerifiedLoad.SHARED_BLOCKS);
        if (random.nextInt(4) == 0) {
            zero(block, 1);
        } else {
            byte[] content = stamped(blocks.cellSize());
            write(blocks.offset(block), content, List.of(blocks.sending(block, content)));
        }
    }

    /** A part of a block of which others write the other parts at the same time. */
    private void writePart() throws IOException {
        int part = share.part(random.nextInt(share.partCount()));
        if (busy.add(parts.offset(part))) {
            byte[] content = stamped(parts.cellSize());
            write(parts.offset(part), content, List.of(parts.sending(part, content)));
        }
    }

    /** Any range of our own blocks; its edges lie on blocks, on sectors, or anywhere. */
    private void writeOwn() throws IOException {
        int size = blocks.cellSize();
        int count = 1 + random.nextInt(MOST_BLOCKS_A_REQUEST);
        int start = anyOwn(count);
        int grain = new int[] {size, 512, 1}[random.nextInt(3)];
        int from = random.nextInt(size) / grain * grain;
        int to = count * size - random.nextInt(size) / grain * grain;
        if (from >= to || !take(start, count)) {
            return;
        }
        byte[] payload = stamped(to - from);
        List<BlockOracle.Version> changes = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int first = Math.max(from, i * size);
            int end = Math.min(to, (i + 1) * size);
            byte[] content = blocks.content(start + i).clone();
            System.arraycopy(payload, first - from, content, first - i * size, end - first);
            changes.add(blocks.sending(start + i, content));
        }
        write(blocks.offset(start) + from, payload, changes);
    }

    private void zeroOwn() throws IOException {
        int count = 1 + random.nextInt(MOST_BLOCKS_A_REQUEST);
        int start = anyOwn(count);
        if (take(start, count)) {
            zero(start, count);
        }
    }

    private void read() throws IOException {
        int block = anyOwn(1);
        if (take(block, 1)) {
            long cookie = connection.sendRead(blocks.offset(block), blocks.cellSize());
            underWay.put(cookie, new Request(List.of(), block));
        }
    }

    private void write(long offset, byte[] payload, List<BlockOracle.Version> changes)
            throws IOException {
        change(NbdConnection.WRITE, offset, payload.length, payload, changes);
    }

    private void zero(int start, int count) throws IOException {
        List<BlockOracle.Version> changes = new ArrayList<>();
        for (int block = start; block < start + count; block++) {
            changes.add(blocks.sending(block, new byte[blocks.cellSize()]));
        }
        int command = random.nextBoolean() ? NbdConnection.TRIM : NbdConnection.WRITE_ZEROES;
        change(command, blocks.offset(start), count * blocks.cellSize(), NOTHING, changes);
    }

    private void change(
            int command, long offset, int length, byte[] payload, List<BlockOracle.Version> changes)
            throws IOException {
        boolean fua = command != NbdConnection.FLUSH && random.nextInt(100) < mix.fuaPercent;
        int flags = fua ? NbdConnection.FUA : 0;
        long cookie = connection.send(command, flags, offset, length, payload);
        underWay.put(cookie, new Request(changes, Request.NONE));
    }

    private void receive() throws IOException {
        NbdConnection.Reply reply = connection.receive();
        Request request = underWay.remove(reply.cookie());
        if (request != null && reply.error() == NbdConnection.ESHUTDOWN) {
            refused = true;
            return;
        }
        if (request == null || reply.error() != 0) {
            throw new AssertionFailedError("a good request was answered with " + reply);
        }
        for (BlockOracle.Version change : request.changes) {
            change.replied();
            busy.remove(change.offset());
        }
        if (request.readBlock != Request.NONE) {
            blocks.settle(request.readBlock, reply.bytes());
            busy.remove(blocks.offset(request.readBlock));
        }
        answered.countDown();
    }

    private int anyOwn(int count) {
        return share.firstOwnBlock() + random.nextInt(VerifiedLoad.OWN_BLOCKS - count + 1);
    }

    /** Makes blocks busy, unless one of them is. */
    private boolean take(int start, int count) {
        List<Long> offsets = new ArrayList<>();
        for (int block = start; block < start + count; block++) {
            offsets.add(blocks.offset(block));
        }
        for (Long offset : offsets) {
            if (busy.contains(offset)) {
                return false;
            }
        }
        return busy.addAll(offsets);
    }

    /** Words that no other request holds, so that a mixed block is seen. */
    private byte[] stamped(int length) {
        ByteBuffer words = ByteBuffer.allocate(length + Long.BYTES);
        long stamp = random.nextLong();
        while (words.remaining() >= Long.BYTES) {
            words.putLong(stamp++);
        }
        byte[] content = new byte[length];
        words.get(0, content);
        return content;
    }
}
