package pmemblk.pool;

import java.io.IOException;
import pmemblk.pool.btt.CachedTable;
import pmemblk.pool.btt.RunVisitor;

/** Turns runs of blocks into extents of bytes that end where the range does. */
final class ExtentScan implements RunVisitor {
    private final int blockSize;
    private final long end;
    private final ExtentVisitor visitor;

    private long block;
    private long offset;

    private ExtentScan(int blockSize, long offset, long end, ExtentVisitor visitor) {
        this.blockSize = blockSize;
        this.block = offset / blockSize;
        this.offset = offset;
        this.end = end;
        this.visitor = visitor;
    }

    static void run(
            CachedTable table, int blockSize, long offset, long length, ExtentVisitor visitor)
            throws IOException {
        if (length > 0) {
            ExtentScan scan = new ExtentScan(blockSize, offset, offset + length, visitor);
            long lastBlock = (scan.end - 1) / blockSize;
            table.scan(scan.block, lastBlock - scan.block + 1, scan);
        }
    }

    @Override
    public boolean run(boolean isError, boolean isZero, long count) {
        long start = offset;
        block += count;
        offset = Math.min(end, block * blockSize);
        BlockState state = isError ? BlockState.ERROR : isZero ? BlockState.ZERO : BlockState.DATA;
        return visitor.extent(state, offset - start);
    }
}
