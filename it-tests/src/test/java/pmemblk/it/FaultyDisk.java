package pmemblk.it;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;

/**
 * A disk in memory that can be made to take long for every request, or to fail those of some kinds.
 */
final class FaultyDisk implements Export {
    /** The kinds of requests. */
    enum Access {
        READ,
        WRITE,
        FLUSH
    }

    private static final CountDownLatch HEALTHY = new CountDownLatch(0);

    private final byte[] bytes;
    private final ExportInfo info;
    private volatile long delayNanos;
    private volatile CountDownLatch healed = HEALTHY;
    private volatile Set<Access> failing = Set.of();
    private final AtomicInteger delayed = new AtomicInteger();

    FaultyDisk(int size) {
        bytes = new byte[size];
        info = new ExportInfo(size, 4096, 4096, false, "faulty");
    }

    /** From now on each request takes so long. */
    void slowDown(Duration delay) {
        delayNanos = delay.toNanos();
        healed = new CountDownLatch(1);
    }

    /** From now on each request of these kinds fails. */
    void fail(Set<Access> kinds) {
        failing = kinds;
    }

    /** All is well again, for requests that wait too. */
    void heal() {
        failing = Set.of();
        healed.countDown();
    }

    /** How many requests have taken their whole delay. */
    int delayed() {
        return delayed.get();
    }

    private void suffer(Access access) throws IOException {
        if (failing.contains(access)) {
            throw new IOException("the disk is faulty");
        }
        try {
            if (!healed.await(delayNanos, TimeUnit.NANOSECONDS)) {
                delayed.incrementAndGet();
            }
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    @Override
    public ExportInfo info() {
        return info;
    }

    @Override
    public @Nullable String failureReason() {
        return null;
    }

    @Override
    public boolean writeMayBlock(long length, boolean fua) {
        return true;
    }

    @Override
    public void read(long offset, ByteBuffer target) throws IOException {
        suffer(Access.READ);
        synchronized (this) {
            target.put(bytes, (int) offset, target.remaining());
        }
    }

    @Override
    public boolean readNow(long offset, ByteBuffer target) {
        return false;
    }

    @Override
    public void write(long offset, ByteBuffer source) throws IOException {
        suffer(Access.WRITE);
        synchronized (this) {
            source.get(bytes, (int) offset, source.remaining());
        }
    }

    @Override
    public void zero(long offset, long length) throws IOException {
        write(offset, ByteBuffer.allocate((int) length));
    }

    @Override
    public void trim(long offset, long length) throws IOException {
        zero(offset, length);
    }

    @Override
    public void flush() throws IOException {
        suffer(Access.FLUSH);
    }

    @Override
    public void close() {}
}
