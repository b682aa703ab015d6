package pmemblk.nbd.server;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;

/**
 * A disk without contents, each of whose calls leaves the event loop and waits to be let through.
 */
final class GatedExport implements Export {
    private static final int BLOCK_SIZE = 520;

    /** A permit for each call that has come as far as the gate. */
    final Semaphore arrived = new Semaphore(0);

    private final Semaphore gate = new Semaphore(0);
    private final Queue<String> done = new ConcurrentLinkedQueue<>();

    /** Lets so many calls through. */
    void open(int calls) {
        gate.release(calls);
    }

    /** What was carried out, in order. */
    List<String> done() {
        return List.copyOf(done);
    }

    @Override
    public ExportInfo info() {
        return new ExportInfo(1L << 40, 4096, BLOCK_SIZE, false, "gated");
    }

    @Override
    public boolean readNow(long offset, ByteBuffer target) {
        return false;
    }

    @Override
    public boolean writeMayBlock(long length, boolean fua) {
        return true;
    }

    private void pass(String call) throws IOException {
        arrived.release();
        try {
            if (!gate.tryAcquire(30, TimeUnit.SECONDS)) {
                throw new IOException("nobody opened the gate");
            }
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
        done.add(call);
    }

    @Override
    public void read(long offset, ByteBuffer target) throws IOException {
        pass("read " + offset + " " + target.remaining());
        target.position(target.limit());
    }

    @Override
    public void write(long offset, ByteBuffer source) throws IOException {
        pass("write " + offset + " " + source.remaining());
    }

    @Override
    public void zero(long offset, long length) throws IOException {
        pass("zero " + offset + " " + length);
    }

    @Override
    public void trim(long offset, long length) throws IOException {
        pass("trim " + offset + " " + length);
    }

    @Override
    public void flush() throws IOException {
        pass("flush");
    }

    @Override
    public @Nullable String failureReason() {
        return null;
    }

    @Override
    public void close() {}
}
