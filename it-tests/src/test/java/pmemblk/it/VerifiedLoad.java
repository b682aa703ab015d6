package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.opentest4j.AssertionFailedError;

/**
 * Several connections that write, trim, zero, flush and read at random until the server goes away,
 * and an oracle that knows what may be there afterwards.
 *
 * <p>From the beginning of the export on there are blocks of each connection's own, then blocks
 * that all of them write as a whole, then blocks of which each part belongs to another connection.
 * Behind these all is zero.
 */
final class VerifiedLoad {
    static final int OWN_BLOCKS = 48;
    static final int SHARED_BLOCKS = 16;
    static final int PARTS_A_BLOCK = 4;
    private static final int PARTS_OF_EACH = 16;
    private static final int READ_SIZE = 1 << 20;

    private final int connectionCount;
    private final BlockOracle blocks;
    private final BlockOracle parts;
    private final long seed;
    private final SplittableRandom random;

    /**
     * @param connectionCount at least {@link #PARTS_A_BLOCK}, that a connection may not own two
     *     parts of a block
     * @param blockSize bytes a block; a multiple of {@link #PARTS_A_BLOCK}
     */
    VerifiedLoad(int connectionCount, int blockSize, long seed) {
        this.connectionCount = connectionCount;
        blocks = new BlockOracle(0, connectionCount * OWN_BLOCKS + SHARED_BLOCKS, blockSize);
        parts =
                new BlockOracle(
                        blocks.offset(blocks.cellCount()),
                        connectionCount * PARTS_OF_EACH,
                        blockSize / PARTS_A_BLOCK);
        this.seed = seed;
        random = new SplittableRandom(seed);
    }

    /** Loads a server until {@code replies} requests were answered, then runs {@code then}. */
    void run(InetSocketAddress address, String exportName, int replies, Ending then)
            throws IOException, InterruptedException {
        CountDownLatch answered = new CountDownLatch(replies);
        LoadClient.Mix mix = LoadClient.Mix.any(random);
        List<Future<?>> clients = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(connectionCount)) {
            for (int i = 0; i < connectionCount; i++) {
                LoadClient client =
                        new LoadClient(
                                new NbdConnection(address, exportName),
                                new LoadClient.Share(blocks, parts, i, connectionCount),
                                mix,
                                random.split(),
                                answered);
                clients.add(
                        threads.submit(
                                () -> {
                                    client.run();
                                    return null;
                                }));
            }
            boolean inTime =
                    answered.await(Duration.ofMinutes(2).toMillis(), TimeUnit.MILLISECONDS);
            then.end();
            for (Future<?> client : clients) {
                client.get();
            }
            if (!inTime) {
                throw new AssertionFailedError(
                        "the server is slow: "
                                + answered.getCount()
                                + " of "
                                + replies
                                + " replies are missing");
            }
        } catch (ExecutionException e) {
            throw new AssertionFailedError(mix + ", seed " + seed, e.getCause());
        }
    }

    /** Reads all that was written: each block must hold one of the contents that it may. */
    void verify(InetSocketAddress address, String exportName) throws IOException {
        try (NbdConnection connection = new NbdConnection(address, exportName)) {
            verify(connection, blocks);
            verify(connection, parts);
        } catch (AssertionFailedError e) {
            throw new AssertionFailedError("seed " + seed, e);
        }
    }

    private static void verify(NbdConnection connection, BlockOracle oracle) throws IOException {
        Map<Long, Integer> cells = new HashMap<>();
        for (int cell = 0; cell < oracle.cellCount(); cell++) {
            cells.put(connection.sendRead(oracle.offset(cell), oracle.cellSize()), cell);
        }
        while (!cells.isEmpty()) {
            NbdConnection.Reply reply = connection.receive();
            assertEquals(0, reply.error(), "error of a read");
            int cell = Objects.requireNonNull(cells.remove(reply.cookie()), "a cookie of ours");
            oracle.settle(cell, reply.bytes());
        }
    }

    /** Reads all that nobody wrote. */
    void verifyTheRestIsZero(InetSocketAddress address, String exportName) throws IOException {
        try (NbdConnection connection = new NbdConnection(address, exportName)) {
            long end = connection.exportSize();
            for (long offset = parts.offset(parts.cellCount()); offset < end; offset += READ_SIZE) {
                int length = (int) Math.min(READ_SIZE, end - offset);
                assertArrayEquals(
                        new byte[length], connection.read(offset, length), "from " + offset);
            }
        }
    }

    /** How the server goes away. */
    interface Ending {
        void end() throws IOException, InterruptedException;
    }
}
