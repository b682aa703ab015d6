package pmemblk.nbd.export;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A disk in the heap, for tests of whoever uses exports. */
public final class MemoryExport implements Export {
    private final byte[] bytes;
    private final ExportInfo info;

    public MemoryExport(int size, boolean readOnly) {
        bytes = new byte[size];
        info = new ExportInfo(size, 4096, 4096, readOnly, "memory");
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
        return fua;
    }

    @Override
    public synchronized void read(long offset, ByteBuffer target) {
        target.put(bytes, (int) offset, target.remaining());
    }

    @Override
    public boolean readNow(long offset, ByteBuffer target) {
        read(offset, target);
        return true;
    }

    @Override
    public synchronized void write(long offset, ByteBuffer source) {
        source.get(bytes, (int) offset, source.remaining());
    }

    @Override
    public synchronized void zero(long offset, long length) {
        Arrays.fill(bytes, (int) offset, (int) (offset + length), (byte) 0);
    }

    @Override
    public void trim(long offset, long length) {}

    @Override
    public void flush() {}

    @Override
    public void close() {}
}
