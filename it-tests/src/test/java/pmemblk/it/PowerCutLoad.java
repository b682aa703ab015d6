package pmemblk.it;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.opentest4j.AssertionFailedError;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Durability;

/**
 * Threads that change the blocks of a pool at random and flush it, on a disk that is recorded, and
 * an oracle that learns of it. Each thread has blocks of its own; behind these lie some that all of
 * them change.
 */
final class PowerCutLoad {
    /** What is done to the pool. */
    enum Kind {
        BLOCK_BY_BLOCK(Durability.ON_FLUSH, 1, 300),
        BLOCK_BY_BLOCK_SYNCED(Durability.EVERY_WRITE, 1, 50),
        /** With a write cache, as {@code serve} has one by default. */
        MANY_THREADS_AND_BLOCKS(Durability.ON_FLUSH, 4, 80),
        MANY_THREADS_AND_BLOCKS_SYNCED(Durability.EVERY_WRITE, 4, 12);

        final Durability durability;
        private final int threadCount;

        /** Of each thread. */
        private final int operations;

        Kind(Durability durability, int threadCount, int operations) {
            this.durability = durability;
            this.threadCount = threadCount;
            this.operations = operations;
        }

        private boolean many() {
            return threadCount > 1;
        }

        private int ownBlocks() {
            return many() ? 128 : 48;
        }

        /** The blocks from 0 on of all threads. */
        int blockCount() {
            return threadCount * ownBlocks() + (many() ? 256 : 0);
        }

        /** In bytes: less than the blocks of a flush have, so that some find the cache full. */
        long writeCacheSize() {
            return many() && durability == Durability.ON_FLUSH ? 1 << 20 : 0;
        }
    }

    /** More blocks than a pool has lanes. */
    private static final int BLOCKS_A_FLUSH = 257;

    /** As many blocks as are filled where they are, if they read as zeroes. */
    private static final int MANY_BLOCKS = 8;

    private static final int MOST_BLOCKS = 32;

    private final Kind kind;
    private final BlockPool pool;
    private final RecordedDisk disk;
    private final PowerCutOracle oracle;
    private final AtomicInteger lastStamp = new AtomicInteger();

    /** How many blocks were changed since somebody flushed them all. */
    private final AtomicInteger unflushed = new AtomicInteger();

    private final AtomicInteger flushes = new AtomicInteger();

    PowerCutLoad(Kind kind, BlockPool pool, RecordedDisk disk, PowerCutOracle oracle) {
        this.kind = kind;
        this.pool = pool;
        this.disk = disk;
        this.oracle = oracle;
    }

    /** Runs all threads to their end. */
    void run(SplittableRandom random) throws InterruptedException {
        List<Future<Void>> running = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(kind.threadCount)) {
            for (int i = 0; i < kind.threadCount; i++) {
                running.add(threads.submit(new Worker(i * kind.ownBlocks(), random.split())));
            }
            for (Future<Void> worker : running) {
                worker.get();
            }
        } catch (ExecutionException e) {
            throw new AssertionFailedError("a good change failed", e.getCause());
        }
        if (flushes.get() == 0) {
            throw new AssertionFailedError("nothing was flushed, this shows nothing");
        }
    }

    /** A change of the pool. */
    private interface Change {
        void make() throws IOException;
    }

    /** Blocks that follow each other. */
    private record Range(int first, int count) {
        long offset() {
            return (long) first * PowerCutOracle.BLOCK_SIZE;
        }

        long length() {
            return (long) count * PowerCutOracle.BLOCK_SIZE;
        }
    }

    private final class Worker implements Callable<Void> {
        private final int firstOwn;
        private final SplittableRandom random;

        Worker(int firstOwn, SplittableRandom random) {
            this.firstOwn = firstOwn;
            this.random = random;
        }

        @Override
        public Void call() throws IOException {
            for (int i = 0; i < kind.operations; i++) {
                operate(lastStamp.incrementAndGet());
            }
            return null;
        }

        private void operate(int stamp) throws IOException {
            switch (random.nextInt(20)) {
                case 0, 1 -> zero(anyRange());
                case 2 -> setError(anyOwn());
                case 3, 4, 5 -> edit(anyOwn(), stamp);
                case 6 -> flush();
                default -> write(anyRange(), stamp);
            }
        }

        private int anyOwn() {
            return firstOwn + random.nextInt(kind.ownBlocks());
        }

        private Range anyRange() {
            boolean many = kind.many() && random.nextBoolean();
            int count = many ? random.nextInt(MANY_BLOCKS, MOST_BLOCKS + 1) : 1;
            int firstShared = kind.threadCount * kind.ownBlocks();
            int shared = kind.blockCount() - firstShared;
            return shared > 0 && random.nextInt(3) == 0
                    ? new Range(firstShared + random.nextInt(shared - count + 1), count)
                    : new Range(firstOwn + random.nextInt(kind.ownBlocks() - count + 1), count);
        }

        private void zero(Range range) throws IOException {
            boolean fua = anyFua();
            change(range, 0, fua, () -> pool.zeroBytes(range.offset(), range.length()));
        }

        private void setError(int block) throws IOException {
            Range one = new Range(block, 1);
            change(one, PowerCutOracle.ERROR, false, () -> pool.setError(block));
        }

        private void edit(int block, int stamp) throws IOException {
            if (oracle.latest(block) == PowerCutOracle.ERROR) {
                return;
            }
            Range one = new Range(block, 1);
            ByteBuffer half = PowerCutOracle.half(block, stamp);
            long value = PowerCutOracle.edited(oracle.latest(block), stamp);
            change(one, value, anyFua(), () -> pool.writeBytes(one.offset() + half.limit(), half));
        }

        private void write(Range range, int stamp) throws IOException {
            ByteBuffer bytes = ByteBuffer.allocateDirect((int) range.length());
            for (int i = 0; i < range.count; i++) {
                bytes.put(PowerCutOracle.whole(range.first + i, stamp));
            }
            bytes.flip();
            boolean fua = anyFua();
            change(
                    range,
                    PowerCutOracle.value(stamp),
                    fua,
                    () -> {
                        if (fua) {
                            pool.writeBytesThrough(range.offset(), bytes);
                        } else {
                            pool.writeBytes(range.offset(), bytes);
                        }
                    });
        }

        private boolean anyFua() {
            return random.nextInt(20) == 0;
        }

        private void change(Range range, long value, boolean fua, Change change)
                throws IOException {
            List<PowerCutOracle.Version> versions = new ArrayList<>();
            for (int i = 0; i < range.count; i++) {
                versions.add(oracle.changing(range.first + i, value, disk.position()));
            }
            change.make();
            oracle.returned(versions);
            unflushed.addAndGet(range.count);
            if (fua) {
                pool.flushAsync(kind.threadCount).join();
            }
            if (fua || kind.durability == Durability.EVERY_WRITE) {
                durable(versions);
            }
        }

        private void flush() throws IOException {
            if (kind.many() && unflushed.get() < BLOCKS_A_FLUSH) {
                return;
            }
            unflushed.set(0);
            List<PowerCutOracle.Version> versions = oracle.notDurable();
            pool.flush();
            durable(versions);
        }

        private void durable(List<PowerCutOracle.Version> versions) {
            oracle.durable(versions, disk.position());
            flushes.incrementAndGet();
        }
    }
}
