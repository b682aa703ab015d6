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
 * one or several at a time, never two requests on one of them at once; the shared ones in whole.
 */
final class LoadClient {
    private static final int DEPTH = 8;
    private static final int MOST_BLOCKS_A_REQUEST = 6;
    private static final byte[] NOTHING = {};

    private final NbdConnection connection;
    private final BlockOracle oracle;
    private final SplittableRandom random;
    private final int firstBlock;
    private final CountDownLatch answered;
    private final Map<Long, Request> underWay = new HashMap<>();
    private final Set<Integer> busyBlocks = new HashSet<>();

    /** The server has said that it stops: what is under way is still answered. */
    private boolean refused;

    /** What a reply will mean: contents that are there, or a block that was read. */
    private record Request(List<BlockOracle.Version> changes, int readBlock) {
        static final int NONE = -1;
    }

    LoadClient(
            NbdConnection connection,
            BlockOracle oracle,
            SplittableRandom random,
            int firstBlock,
            CountDownLatch answered) {
        this.connection = connection;
        this.oracle = oracle;
        this.random = random;
        this.firstBlock = firstBlock;
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
        switch (random.nextInt(20)) {
            case 0 -> send(NbdConnection.FLUSH, 0, 0, NOTHING, List.of());
            case 1, 2 -> read();
            case 3, 4, 5 -> writeShared();
            case 6, 7, 8 -> zeroOwn();
            default -> writeOwn();
        }
    }

    private void writeShared() throws IOException {
        int block =
                VerifiedLoad.CONNECTIONS * VerifiedLoad.OWN_BLOCKS
                        + random.nextInt(VerifiedLoad.SHARED_BLOCKS);
        byte[] content = stamped(oracle.blockSize());
        List<BlockOracle.Version> changes = List.of(oracle.sending(block, content));
        send(NbdConnection.WRITE, offset(block), content.length, content, changes);
    }

    /** Any range of our own blocks; its edges lie on blocks, on sectors, or anywhere. */
    private void writeOwn() throws IOException {
        int size = oracle.blockSize();
        int blocks = 1 + random.nextInt(MOST_BLOCKS_A_REQUEST);
        int start = anyOwn(blocks);
        int grain = new int[] {size, 512, 1}[random.nextInt(3)];
        int from = random.nextInt(size) / grain * grain;
        int to = blocks * size - random.nextInt(size) / grain * grain;
        if (from >= to || anyBusy(start, blocks)) {
            return;
        }
        byte[] payload = stamped(to - from);
        List<BlockOracle.Version> changes = new ArrayList<>();
        for (int i = 0; i < blocks; i++) {
            int first = Math.max(from, i * size);
            int end = Math.min(to, (i + 1) * size);
            if (first < end) {
                byte[] content = oracle.content(start + i).clone();
                System.arraycopy(payload, first - from, content, first - i * size, end - first);
                changes.add(oracle.sending(start + i, content));
                busyBlocks.add(start + i);
            }
        }
        send(NbdConnection.WRITE, offset(start) + from, payload.length, payload, changes);
    }

    private void zeroOwn() throws IOException {
        int blocks = 1 + random.nextInt(MOST_BLOCKS_A_REQUEST);
        int start = anyOwn(blocks);
        if (anyBusy(start, blocks)) {
            return;
        }
        List<BlockOracle.Version> changes = new ArrayList<>();
        for (int i = 0; i < blocks; i++) {
            changes.add(oracle.sending(start + i, new byte[oracle.blockSize()]));
            busyBlocks.add(start + i);
        }
        int command = random.nextBoolean() ? NbdConnection.TRIM : NbdConnection.WRITE_ZEROES;
        send(command, offset(start), blocks * oracle.blockSize(), NOTHING, changes);
    }

    private void read() throws IOException {
        int block = anyOwn(1);
        if (busyBlocks.add(block)) {
            long cookie =
                    connection.send(
                            NbdConnection.READ, 0, offset(block), oracle.blockSize(), NOTHING);
            underWay.put(cookie, new Request(List.of(), block));
        }
    }

    private void send(
            int command, long offset, int length, byte[] payload, List<BlockOracle.Version> changes)
            throws IOException {
        boolean mayBeFua = command != NbdConnection.FLUSH;
        int flags = mayBeFua && random.nextBoolean() ? NbdConnection.FUA : 0;
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
            oracle.replied(change);
            busyBlocks.remove(change.block());
        }
        if (request.readBlock != Request.NONE) {
            oracle.settle(request.readBlock, reply.bytes());
            busyBlocks.remove(request.readBlock);
        }
        answered.countDown();
    }

    private int anyOwn(int blocks) {
        return firstBlock + random.nextInt(VerifiedLoad.OWN_BLOCKS - blocks + 1);
    }

    private boolean anyBusy(int start, int blocks) {
        for (int block = start; block < start + blocks; block++) {
            if (busyBlocks.contains(block)) {
                return true;
            }
        }
        return false;
    }

    private long offset(int block) {
        return (long) block * oracle.blockSize();
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
