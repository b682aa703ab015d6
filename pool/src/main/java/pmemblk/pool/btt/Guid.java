package pmemblk.pool.btt;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.UUID;

/**
 * UUIDs as PMDK stores them: 16 bytes, the three leading fields little-endian, so that the text is
 * the one that {@code pmempool info} prints.
 */
public final class Guid {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong TAIL =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private Guid() {}

    public static UUID read(MemorySegment block, long offset) {
        long high =
                Integer.toUnsignedLong(block.get(INT, offset)) << 32
                        | Short.toUnsignedLong(block.get(SHORT, offset + 4)) << 16
                        | Short.toUnsignedLong(block.get(SHORT, offset + 6));
        return new UUID(high, block.get(TAIL, offset + 8));
    }

    public static void write(MemorySegment block, long offset, UUID uuid) {
        long high = uuid.getMostSignificantBits();
        block.set(INT, offset, (int) (high >>> 32));
        block.set(SHORT, offset + 4, (short) (high >>> 16));
        block.set(SHORT, offset + 6, (short) high);
        block.set(TAIL, offset + 8, uuid.getLeastSignificantBits());
    }
}
