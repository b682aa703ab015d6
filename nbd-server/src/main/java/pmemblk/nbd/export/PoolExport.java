package pmemblk.nbd.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.BlockPool;
import pmemblk.pool.BlockState;
import pmemblk.pool.PoolFullException;

/** A pool as an export. */
public final class PoolExport implements Export {
    private static final int PAGE = 4096;

    /** Bytes that are copied in less time than a change of threads takes to pay off. */
    private static final long BRIEF = 1 << 20;

    private final BlockPool pool;
    private final ExportInfo info;

    /** Takes over the pool, which {@link #close} closes. */
    public PoolExport(BlockPool pool) {
        this.pool = pool;
        int blockSize = pool.blockSize();
        boolean suits = Integer.bitCount(blockSize) == 1 && blockSize > PAGE;
        this.info =
                new ExportInfo(
                        pool.byteSize(),
                        suits ? blockSize : PAGE,
                        blockSize,
                        pool.isReadOnly(),
                        "pmemblk pool: blocks of %d bytes, each written whole or not at all"
                                .formatted(blockSize));
    }

    @Override
    public ExportInfo info() {
        return info;
    }

    @Override
    public @Nullable String failureReason() {
        return pool.failureReason();
    }

    @Override
    public boolean writeMayBlock(long length, boolean fua) {
        return pool.mayBlock() || length > BRIEF;
    }

    @Override
    public boolean writesAreFua() {
        return pool.flushesEveryWrite();
    }

    @Override
    public void read(long offset, ByteBuffer target) throws IOException {
        pool.readBytes(offset, target);
    }

    @Override
    public boolean readNow(long offset, ByteBuffer target) throws IOException {
        return target.remaining() <= BRIEF && pool.readBytesNow(offset, target);
    }

    @Override
    public void extents(long offset, long length, ExtentVisitor visitor) throws IOException {
        pool.extents(offset, length, (state, bytes) -> visitor.extent(ofBlocks(state), bytes));
    }

    @Override
    public boolean extentsNow(long offset, long length, ExtentVisitor visitor) throws IOException {
        if (length > BRIEF || !pool.extentsAtHand(offset, length)) {
            return false;
        }
        extents(offset, length, visitor);
        return true;
    }

    private static ExtentState ofBlocks(BlockState state) {
        return switch (state) {
            case DATA -> ExtentState.DATA;
            case ZERO -> ExtentState.ZERO;
            case ERROR -> ExtentState.ERROR;
        };
    }

    @Override
    public void write(long offset, ByteBuffer source) throws IOException {
        try {
            pool.writeBytes(offset, source);
        } catch (PoolFullException e) {
            throw new ExportFullException(String.valueOf(e.getMessage()), e);
        }
    }

    @Override
    public boolean writeNow(long offset, ByteBuffer source) throws IOException {
        if (writeMayBlock(source.remaining(), false)) {
            return source.remaining() <= BRIEF && pool.writeBytesNow(offset, source);
        }
        write(offset, source);
        return true;
    }

    @Override
    public void writeThrough(long offset, ByteBuffer source) throws IOException {
        try {
            pool.writeBytesThrough(offset, source);
        } catch (PoolFullException e) {
            throw new ExportFullException(String.valueOf(e.getMessage()), e);
        }
    }

    @Override
    public void zero(long offset, long length) throws IOException {
        try {
            pool.zeroBytes(offset, length);
        } catch (PoolFullException e) {
            throw new ExportFullException(String.valueOf(e.getMessage()), e);
        }
    }

    @Override
    public void trim(long offset, long length) throws IOException {
        try {
            pool.trimBytes(offset, length);
        } catch (PoolFullException e) {
            throw new ExportFullException(String.valueOf(e.getMessage()), e);
        }
    }

    @Override
    public void flush() throws IOException {
        pool.flush();
    }

    @Override
    public void writeBack() throws IOException {
        pool.writeBack();
    }

    @Override
    public void prepareFlush() {
        pool.prepareFlush();
    }

    @Override
    public CompletableFuture<Void> flushAsync(int callers) {
        return pool.flushAsync(callers);
    }

    @Override
    public void close() throws IOException {
        pool.close();
    }
}
