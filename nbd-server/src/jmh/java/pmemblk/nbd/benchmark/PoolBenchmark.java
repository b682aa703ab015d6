package pmemblk.nbd.benchmark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Durability;
import pmemblk.pool.PoolOptions;

/** Requests to a pool of 4096-byte blocks, all written, at random places. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class PoolBenchmark {
    private static final int BLOCK_SIZE = 4096;
    private static final long POOL_SIZE = 128 << 20;

    /** The folder of the pool: a tmpfs, and the module's own on a disk. */
    @Param({"/dev/shm", "target"})
    public String folder;

    /** Blocks a request has. */
    @Param({"1", "32"})
    public int blocks;

    private Path directory;
    private BlockPool pool;
    private ByteBuffer buffer;
    private final SplittableRandom random = new SplittableRandom(1);

    @Setup(Level.Trial)
    public void openPool() throws IOException {
        directory = Files.createTempDirectory(Path.of(folder), "benchmark");
        Path file = directory.resolve("disk.pool");
        BlockPool.create(file, BLOCK_SIZE, POOL_SIZE, 0600).close();
        pool = BlockPool.open(file, PoolOptions.DEFAULT.withDurability(Durability.ON_FLUSH));
        buffer = ByteBuffer.allocateDirect(blocks * BLOCK_SIZE);
        for (long block = 0; block + blocks <= pool.blockCount(); block += blocks) {
            pool.writeBytes(block * BLOCK_SIZE, buffer.clear());
        }
        pool.flush();
    }

    @TearDown(Level.Trial)
    public void removePool() throws IOException {
        pool.close();
        Files.delete(directory.resolve("disk.pool"));
        Files.delete(directory);
    }

    @Benchmark
    public void read() throws IOException {
        pool.readBytes(offset(), buffer.clear());
    }

    /** As an event loop reads, where nothing is to be waited for. */
    @Benchmark
    public boolean readNow() throws IOException {
        return pool.readBytesNow(offset(), buffer.clear());
    }

    /** On a disk, the commits of the background are in it. */
    @Benchmark
    public void write() throws IOException {
        pool.writeBytes(offset(), buffer.clear());
    }

    /** Blocks that are zero cost less, so they are written first. */
    @Benchmark
    public void writeAndZero() throws IOException {
        long offset = offset();
        pool.writeBytes(offset, buffer.clear());
        pool.zeroBytes(offset, buffer.capacity());
    }

    /** A commit of one request. */
    @Benchmark
    public void writeAndFlush() throws IOException {
        pool.writeBytes(offset(), buffer.clear());
        pool.flush();
    }

    /** A part of a block is replaced. */
    @Benchmark
    public void edit() throws IOException {
        pool.writeBytes(offset() + 512, buffer.clear().limit(512));
    }

    /** A thousand times as many blocks as a request has, up to what there are. */
    @Benchmark
    public long extents() throws IOException {
        long[] last = new long[1];
        long length = Math.min(1000L * blocks, pool.blockCount()) * BLOCK_SIZE;
        pool.extents(
                0,
                length,
                (state, extentLength) -> {
                    last[0] += extentLength;
                    return true;
                });
        return last[0];
    }

    private long offset() {
        return random.nextLong(pool.blockCount() - blocks + 1) * BLOCK_SIZE;
    }
}
