package pmemblk.pool.btt;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The Fletcher-64 checksum over 32-bit little-endian words that seals pool headers, info blocks and
 * shutdown states. The sum over zeroes is 0, so an all-zero block looks sealed.
 */
public final class Fletcher64 {
    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Fletcher64() {}

    /**
     * Sums a block.
     *
     * @param block a multiple of 4 bytes
     * @param checksumOffset where the 8 bytes lie that count as zero, being the checksum itself
     * @param limit words at or past this offset count as zero too
     */
    public static long sum(MemorySegment block, long checksumOffset, long limit) {
        int lo = 0;
        int hi = 0;
        for (long offset = 0; offset < block.byteSize(); offset += Integer.BYTES) {
            boolean own = offset >= checksumOffset && offset < checksumOffset + Long.BYTES;
            if (!own && offset < limit) {
                lo += block.get(WORD, offset);
            }
            hi += lo;
        }
        return (long) hi << 32 | Integer.toUnsignedLong(lo);
    }
}
