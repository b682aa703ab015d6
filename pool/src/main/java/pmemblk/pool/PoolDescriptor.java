package pmemblk.pool;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The pmemblk descriptor, behind the pool header.
 *
 * <pre>
 *  0  bsize      block size
 *  4  is_zeroed  1 if bytes that nobody wrote are known to be zero
 *  8  scratch    libpmemblk's process state; here the mark of a {@link HeldTableFile}
 * 32  data       part of that state; pmempool info finds the table by it
 * </pre>
 */
record PoolDescriptor(int blockSize, boolean zeroed) {
    static final long OFFSET = 4096;
    static final int SIZE = 4096;
    static final long SCRATCH = 8;

    private static final ValueLayout.OfInt U32 =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong U64 =
            ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long BSIZE = 0;
    private static final long IS_ZEROED = 4;
    private static final long DATA = 32;

    static PoolDescriptor read(MemorySegment block) {
        return new PoolDescriptor(block.get(U32, BSIZE), block.get(U32, IS_ZEROED) != 0);
    }

    void write(MemorySegment block) {
        block.fill((byte) 0);
        block.set(U32, BSIZE, blockSize);
        block.set(U32, IS_ZEROED, zeroed ? 1 : 0);
        // As if the process that made the pool had mapped it at address 0.
        block.set(U64, DATA, BlockPool.TABLE_OFFSET);
    }
}
