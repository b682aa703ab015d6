package pmemblk.it;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
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
 * <p>Each connection has blocks of its own, one after the other; those that all of them share come
 * last.
 */
final class VerifiedLoad {
    static final int CONNECTIONS = 4;
    static final int OWN_BLOCKS = 48;
    static final int SHARED_BLOCKS = 16;

    private final BlockOracle oracle;
    private final long seed;
    private int clientCount;

    VerifiedLoad(int blockSize, long seed) {
        oracle = new BlockOracle(CONNECTIONS * OWN_BLOCKS + SHARED_BLOCKS, blockSize);
        this.seed = seed;
    }

    /** Loads a server until {@code replies} requests were answered, then runs {@code then}. */
    void run(InetSocketAddress address, String exportName, int replies, Ending then)
            throws IOException, InterruptedException {
        CountDownLatch answered = new CountDownLatch(replies);
        List<Future<?>> clients = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(CONNECTIONS)) {
            for (int i = 0; i < CONNECTIONS; i++) {
                LoadClient client =
                        new LoadClient(
                                new NbdConnection(address, exportName),
                                oracle,
                                new SplittableRandom(seed + ++clientCount),
                                i * OWN_BLOCKS,
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
            throw new AssertionFailedError("a client failed, seed " + seed, e.getCause());
        }
    }

    /** Reads all blocks, each of which must be one of those that may be there. */
    void verify(InetSocketAddress address, String exportName) throws IOException {
        int size = oracle.blockSize();
        try (NbdConnection connection = new NbdConnection(address, exportName)) {
            for (int block = 0; block < oracle.blockCount(); block++) {
                oracle.settle(block, connection.read((long) block * size, size));
            }
        }
    }

    /** How the server goes away. */
    interface Ending {
        void end() throws IOException, InterruptedException;
    }
}
