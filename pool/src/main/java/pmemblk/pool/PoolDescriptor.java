package pmemblk.pool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import pmemblk.pool.btt.Patch;
import pmemblk.pool.media.Medium;

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

    /** The descriptor as it is, be it sound or not. */
    static PoolDescriptor load(Medium medium) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment block = memory.allocate(SIZE, Long.BYTES);
            medium.read(OFFSET, block);
            return read(block);
        }
    }

    /**
     * The descriptor of a pool that can be opened.
     *
     * @param wantedBlockSize 0 takes any
     */
    static PoolDescriptor require(Path path, Medium medium, int wantedBlockSize)
            throws IOException {
        requireRoom(path, medium);
        PoolDescriptor descriptor = load(medium);
        if (descriptor.blockSize <= 0) {
            throw new CorruptPoolException(
                    "%s: its descriptor has block size %s, which no pool can have"
                            .formatted(path, Integer.toUnsignedString(descriptor.blockSize)));
        }
        requireBlockSize(path, descriptor.blockSize, wantedBlockSize);
        return descriptor;
    }

    static void requireRoom(Path path, Medium medium) throws CorruptPoolException {
        if (medium.size() < BlockPool.MIN_POOL_SIZE) {
            throw new CorruptPoolException(
                    "%s has %d bytes, the smallest pool has %d; it was cut short"
                            .formatted(path, medium.size(), BlockPool.MIN_POOL_SIZE));
        }
    }

    static void requireBlockSize(Path path, int blockSize, int wanted) throws BlockSizeException {
        if (wanted != 0 && wanted != blockSize) {
            throw new BlockSizeException(
                    "%s has blocks of %d bytes, not %d; leave the block size out to take any"
                            .formatted(path, blockSize, wanted));
        }
    }

    /** What gives a pool another block size. */
    static Patch blockSizePatch(int blockSize) {
        return Patch.ofWord(OFFSET + BSIZE, blockSize);
    }

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
