package pmemblk.pool.btt;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Which postmap blocks of an arena have an owner, and which have several: a bit a block, and a
 * second one as soon as there is one of the latter. Owners may be added by several threads, and all
 * of them are added before anything is asked.
 */
final class OwnedBlocks {
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

    private final int count;
    private final long[] owned;
    private volatile long @Nullable [] shared;

    OwnedBlocks(int count) {
        this.count = count;
        this.owned = new long[Math.ceilDiv(count, Long.SIZE)];
    }

    /** Adds an owner of a block. */
    void add(int postmapLba) {
        if (isSetBefore(owned, postmapLba)) {
            isSetBefore(sharedBits(), postmapLba);
        }
    }

    private static boolean isSetBefore(long[] bits, int postmapLba) {
        long bit = 1L << postmapLba;
        return ((long) WORD.getAndBitwiseOr(bits, postmapLba / Long.SIZE, bit) & bit) != 0;
    }

    private synchronized long[] sharedBits() {
        long[] bits = shared;
        if (bits == null) {
            bits = new long[owned.length];
            shared = bits;
        }
        return bits;
    }

    boolean anyShared() {
        return shared != null;
    }

    boolean isShared(int postmapLba) {
        long[] bits = shared;
        return bits != null && (bits[postmapLba / Long.SIZE] & 1L << postmapLba) != 0;
    }

    /** The first block from this one on that nobody owns, or -1. */
    int nextUnowned(int from) {
        long mask = -1L << from;
        for (int index = from / Long.SIZE; index < owned.length; index++) {
            long unowned = ~owned[index] & mask;
            if (unowned != 0) {
                int postmapLba = index * Long.SIZE + Long.numberOfTrailingZeros(unowned);
                return postmapLba < count ? postmapLba : -1;
            }
            mask = -1L;
        }
        return -1;
    }
}
