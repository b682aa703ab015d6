package pmemblk.it;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.opentest4j.AssertionFailedError;
import pmemblk.it.FaultyDisk.Access;
import pmemblk.pool.BlockPool;

/**
 * A server with one pool on ext4 on a {@link FaultyDisk} and another in memory, while the disk has
 * its fault. A program that {@link OwnMounts} runs.
 */
final class FaultyDiskTrial {
    /** What may be wrong with the disk. */
    enum Fault {
        SLOW,
        SLOW_WITHOUT_CACHE,
        FULL,
        FAULTY,
        UNREADABLE,
        UNWRITABLE,
        UNFLUSHABLE,
        GONE
    }

    private static final int DISK_SIZE = 64 << 20;
    private static final long POOL_SIZE = 17 << 20;
    private static final int BLOCK_SIZE = 4096;
    private static final int BLOCKS = 1024;

    /** The blocks from 0 on that are read until the kernel has them cached; others are not. */
    private static final int WARM_BLOCKS = 64;

    private static final int COLD_BLOCK = 512;
    private static final int EIO = 5;
    private static final int ENOSPC = 28;
    private static final Duration DELAY = Duration.ofSeconds(2);

    /** Ten times what a busy machine took, and no request of the disk takes so little. */
    private static final long LATENCY_LIMIT_MILLIS = 300;

    private final FaultyDisk disk = new FaultyDisk(DISK_SIZE);
    private final LoopFilesystem filesystem;
    private final Path pool;
    private final Path memoryPool;
    private final ServiceStatus status;

    private FaultyDiskTrial(Path folder) throws IOException, InterruptedException {
        String mkfs = "mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0";
        filesystem = LoopFilesystem.make(folder, disk, mkfs);
        pool = filesystem.root().resolve("disk.pool");
        memoryPool = folder.resolve("memory.pool");
        status = new ServiceStatus(folder.resolve("notify"));
        BlockPool.create(memoryPool, BLOCK_SIZE, POOL_SIZE, 0600).close();
    }

    /** Arguments: a folder on tmpfs, the fault. */
    public static void main(String[] arguments) {
        OwnMounts.exitAfter(
                () -> {
                    FaultyDiskTrial trial = new FaultyDiskTrial(Path.of(arguments[0]));
                    switch (Fault.valueOf(arguments[1])) {
                        case SLOW -> trial.slow("");
                        case SLOW_WITHOUT_CACHE -> trial.slow("--write-cache 0");
                        case FULL -> trial.full();
                        case FAULTY -> trial.faulty(EnumSet.allOf(Access.class));
                        case UNREADABLE -> trial.unreadable();
                        case UNWRITABLE -> trial.faulty(EnumSet.of(Access.WRITE));
                        case UNFLUSHABLE -> trial.faulty(EnumSet.of(Access.FLUSH));
                        case GONE -> trial.gone();
                    }
                });
    }

    /** Requests that need a slow disk wait; nobody waits for them. */
    private void slow(String words) throws IOException, InterruptedException {
        createPool();
        ServerProcess server = serve(words);
        try (server;
                NbdConnection reader = connect(server, "disk");
                NbdConnection writer = connect(server, "disk");
                ExecutorService waiting = Executors.newSingleThreadExecutor()) {
            disk.slowDown(DELAY);
            for (int i = 0; i < 32; i++) {
                reader.sendRead((long) (COLD_BLOCK + 10 * i) * BLOCK_SIZE, BLOCK_SIZE);
                writer.send(NbdConnection.WRITE, 0, (long) i * BLOCK_SIZE, BLOCK_SIZE, block(2));
            }
            writer.send(NbdConnection.FLUSH, 0, 0, 0, new byte[0]);
            reader.flush();
            writer.flush();
            long sent = System.nanoTime();
            Future<Long> flushed =
                    waiting.submit(
                            () -> {
                                for (int i = 0; i < 32; i++) {
                                    require(0, writer.receive().error(), "WRITE to the slow disk");
                                }
                                require(0, writer.receive().error(), "FLUSH of the slow disk");
                                return System.nanoTime() - sent;
                            });
            List<String> latencies = measureOthers(server);
            int delayed = disk.delayed();
            disk.heal();
            for (int i = 0; i < 32; i++) {
                require(0, reader.receive().error(), "READ of the slow disk");
            }
            Duration flush = Duration.ofNanos(flushed.get());
            System.out.printf(
                    "%d requests took %s, the flush %s; others: %s%n",
                    delayed, DELAY, flush, latencies);
            if (delayed == 0 || flush.compareTo(DELAY) < 0) {
                throw new AssertionFailedError("the disk was not slow, this shows nothing");
            }
        } catch (ExecutionException e) {
            throw new AssertionFailedError("the flush of a slow disk failed", e);
        }
    }

    /** Several connections each, so that some share an event loop with those that wait. */
    private List<String> measureOthers(ServerProcess server)
            throws IOException, InterruptedException {
        List<Future<String>> running = new ArrayList<>();
        try (ExecutorService threads = Executors.newCachedThreadPool()) {
            for (int i = 0; i < 4; i++) {
                running.add(threads.submit(() -> measureCachedReads(server)));
                running.add(threads.submit(() -> measureOtherExport(server)));
            }
            List<String> latencies = new ArrayList<>();
            for (Future<String> latency : running) {
                latencies.add(latency.get());
            }
            return latencies;
        } catch (ExecutionException e) {
            throw new AssertionFailedError("another connection was disturbed", e);
        }
    }

    private String measureCachedReads(ServerProcess server) throws IOException {
        try (NbdConnection connection = connect(server, "disk")) {
            return measure(
                    "cached read",
                    i -> {
                        int block = WARM_BLOCKS / 2 + i % (WARM_BLOCKS / 2);
                        connection.read((long) block * BLOCK_SIZE, BLOCK_SIZE);
                    });
        }
    }

    private String measureOtherExport(ServerProcess server) throws IOException {
        try (NbdConnection connection = connect(server, "memory")) {
            return measure(
                    "write and flush of another export",
                    i -> {
                        write(connection, NbdConnection.FUA, i % BLOCKS, 3, 0);
                        flush(connection, 0);
                    });
        }
    }

    /** A request, numbered from 0. */
    private interface Request {
        void run(int number) throws IOException;
    }

    /** Repeats a request for a while. */
    private static String measure(String name, Request request) throws IOException {
        long longest = 0;
        long end = System.nanoTime() + DELAY.multipliedBy(3).toNanos();
        int count = 0;
        for (long now = System.nanoTime(); now < end; count++) {
            request.run(count);
            long done = System.nanoTime();
            longest = Math.max(longest, done - now);
            now = done;
        }
        String latency = "%d x %s, at most %d ms".formatted(count, name, longest / 1_000_000);
        if (longest > LATENCY_LIMIT_MILLIS * 1_000_000) {
            throw new AssertionFailedError("a slow disk held up others: " + latency);
        }
        return latency;
    }

    /** A request without room for its bytes fails alone. */
    private void full() throws IOException, InterruptedException {
        createPool();
        Path sparse = filesystem.root().resolve("sparse.pool");
        Command.of("cp --sparse=always", pool, sparse).succeed();
        Files.delete(pool);
        Files.move(sparse, pool);
        Path filler = filesystem.root().resolve("filler");
        fill(filler);
        ServerProcess server = serve();
        try (server;
                NbdConnection connection = connect(server, "disk")) {
            int block = 0;
            while (block < BLOCKS && tryWrite(connection, BLOCKS + block, 2) == 0) {
                block++;
            }
            write(connection, 0, BLOCKS + block, 2, ENOSPC);
            requireHeld(connection, 0, 1);
            // There is a place for the data now, and none for the map entry, also in a hole.
            shorten(filler, BLOCK_SIZE);
            write(connection, 0, BLOCKS + block, 2, ENOSPC);
            flush(connection, 0);
            Files.delete(filler);
            Command.of("sync -f", pool).succeed();
            write(connection, NbdConnection.FUA, BLOCKS + block, 2, 0);
            requireHeld(connection, BLOCKS + block, 2);
        }
    }

    private void shorten(Path filler, int count) throws IOException, InterruptedException {
        try (FileChannel file = FileChannel.open(filler, StandardOpenOption.WRITE)) {
            file.truncate(file.size() - count);
        }
        Command.of("sync -f", pool).succeed();
    }

    private static void fill(Path filler) throws IOException {
        byte[] piece = new byte[BLOCK_SIZE];
        try (OutputStream out = Files.newOutputStream(filler)) {
            while (true) {
                out.write(piece);
            }
        } catch (IOException e) {
            if (!String.valueOf(e.getMessage()).contains("No space")) {
                throw e;
            }
        }
    }

    /** What cannot be read fails alone. */
    private void unreadable() throws IOException, InterruptedException {
        createPool();
        ServerProcess server = serve();
        try (server;
                NbdConnection connection = connect(server, "disk")) {
            disk.fail(EnumSet.of(Access.READ));
            read(connection, COLD_BLOCK, EIO);
            requireHeld(connection, 0, 1);
            write(connection, 0, 1, 2, 0);
            flush(connection, 0);
            write(connection, NbdConnection.FUA, 2, 3, 0);
            read(connection, COLD_BLOCK, EIO);
            requireHeld(connection, 1, 2);
            disk.heal();
            requireHeld(connection, COLD_BLOCK, 1);
        }
        filesystem.remount();
        try (ServerProcess next = serve();
                NbdConnection connection = connect(next, "disk")) {
            requireHeld(connection, 1, 2);
            requireHeld(connection, 2, 3);
            requireHeld(connection, COLD_BLOCK, 1);
        }
        Pools.checkWithPmempool(pool);
    }

    /**
     * After the disk has failed a sync, or a write that was to be synced, nothing changes any more
     * until the next start.
     */
    private void faulty(Set<Access> failing) throws IOException, InterruptedException {
        createPool();
        ServerProcess server = serve();
        try (NbdConnection connection = connect(server, "disk")) {
            write(connection, NbdConnection.FUA, 1, 2, 0);
            disk.fail(failing);
            requireStopped(server, connection, failing.contains(Access.READ));
            disk.heal();
            write(connection, 0, 2, 4, EIO);
            flush(connection, EIO);
        }
        server.terminate();
        require(2, server.awaitEnd(), "exit status of a server whose disk has failed");
        filesystem.remount();
        try (ServerProcess next = serve();
                NbdConnection connection = connect(next, "disk")) {
            requireHeld(connection, 0, 1);
            requireHeld(connection, 1, 2);
            write(connection, NbdConnection.FUA, 2, 5, 0);
        }
        Pools.checkKilledWithPmempool(pool);
    }

    /** As after any failure, but there is no disk to restart on. */
    private void gone() throws IOException, InterruptedException {
        createPool();
        ServerProcess server = serve();
        try (NbdConnection connection = connect(server, "disk")) {
            filesystem.pullDisk();
            requireStopped(server, connection, true);
        }
        server.terminate();
        require(2, server.awaitEnd(), "exit status of a server whose disk is gone");
    }

    private void requireStopped(ServerProcess server, NbdConnection connection, boolean readsFail)
            throws IOException, InterruptedException {
        requireHeld(connection, 0, 1);
        // It goes to the cache, and is not flushed.
        write(connection, 0, 3, 2, 0);
        flush(connection, EIO);
        write(connection, 0, 2, 3, EIO);
        write(connection, NbdConnection.FUA, 2, 3, EIO);
        requireHeld(connection, 0, 1);
        if (readsFail) {
            read(connection, COLD_BLOCK, EIO);
        } else {
            requireHeld(connection, COLD_BLOCK, 1);
        }
        server.awaitLog("failed");
        status.await("export 'disk' FAILED: takes no changes");
        try (NbdConnection other = connect(server, "memory")) {
            write(other, NbdConnection.FUA, 0, 3, 0);
            requireHeld(other, 0, 3);
        }
    }

    /** Blocks full of 1, of which the first are cached and the others are not. */
    private void createPool() throws IOException, InterruptedException {
        BlockPool.create(pool, BLOCK_SIZE, POOL_SIZE, 0600).close();
        try (ServerProcess server = serve();
                NbdConnection connection = connect(server, "disk")) {
            for (int i = 0; i < BLOCKS; i++) {
                write(connection, 0, i, 1, 0);
            }
        }
        filesystem.dropCaches(pool);
    }

    private ServerProcess serve() throws IOException, InterruptedException {
        return serve("");
    }

    private ServerProcess serve(String words) throws IOException, InterruptedException {
        String listening = (words + " --listen 127.0.0.1:0").strip();
        ServerProcess server =
                ServerProcess.startInEnvironment(status.variable(), 2, listening, pool, memoryPool);
        try (NbdConnection connection = connect(server, "disk")) {
            for (int i = 0; i < WARM_BLOCKS; i++) {
                connection.read((long) i * BLOCK_SIZE, BLOCK_SIZE);
            }
        }
        return server;
    }

    private static NbdConnection connect(ServerProcess server, String export) throws IOException {
        return new NbdConnection(server.address(), export);
    }

    private static byte[] block(int value) {
        byte[] block = new byte[BLOCK_SIZE];
        Arrays.fill(block, (byte) value);
        return block;
    }

    private static int tryWrite(NbdConnection connection, int number, int value)
            throws IOException {
        connection.send(
                NbdConnection.WRITE, 0, (long) number * BLOCK_SIZE, BLOCK_SIZE, block(value));
        return connection.receive().error();
    }

    private static void write(
            NbdConnection connection, int flags, int number, int value, int expectedError)
            throws IOException {
        long offset = (long) number * BLOCK_SIZE;
        connection.send(NbdConnection.WRITE, flags, offset, BLOCK_SIZE, block(value));
        require(expectedError, connection.receive().error(), "WRITE of block " + number);
    }

    private static void flush(NbdConnection connection, int expectedError) throws IOException {
        connection.send(NbdConnection.FLUSH, 0, 0, 0, new byte[0]);
        require(expectedError, connection.receive().error(), "FLUSH");
    }

    private static void read(NbdConnection connection, int number, int expectedError)
            throws IOException {
        connection.sendRead((long) number * BLOCK_SIZE, BLOCK_SIZE);
        require(expectedError, connection.receive().error(), "READ of block " + number);
    }

    private static void requireHeld(NbdConnection connection, int number, int value)
            throws IOException {
        byte[] found = connection.read((long) number * BLOCK_SIZE, BLOCK_SIZE);
        if (!Arrays.equals(block(value), found)) {
            throw new AssertionFailedError(
                    "block " + number + " begins with " + found[0] + " in place of " + value);
        }
    }

    private static void require(int expected, int found, String what) {
        if (expected != found) {
            throw new AssertionFailedError(what + ": expected " + expected + ", got " + found);
        }
    }
}
