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

    static final int RUN = Long.SIZE;

    private final int count;
    private final long[] owned;
    private volatile long @Nullable [] shared;

    OwnedBlocks(int count) {
        this.count = count;
        this.owned = new long[Math.ceilDiv(count, RUN)];
    }

    /** Adds an owner of a block. */
    void add(int postmapLba) {
        add(postmapLba / RUN, 1L << postmapLba);
    }

    /** Adds an owner of each of the {@link #RUN} blocks from this one on, a multiple of that. */
    void addRun(int firstPostmapLba) {
        add(firstPostmapLba / RUN, -1L);
    }

    private void add(int index, long bits) {
        long ownedBefore = (long) WORD.getAndBitwiseOr(owned, index, bits) & bits;
        if (ownedBefore != 0) {
            WORD.getAndBitwiseOr(sharedBits(), index, ownedBefore);
        }
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
        return bits != null && (bits[postmapLba / RUN] & 1L << postmapLba) != 0;
    }

    /** The first block from this one on that nobody owns, or -1. */
    int nextUnowned(int from) {
        long mask = -1L << from;
        for (int index = from / RUN; index < owned.length; index++) {
            long unowned = ~owned[index] & mask;
            if (unowned != 0) {
                int postmapLba = index * RUN + Long.numberOfTrailingZeros(unowned);
                return postmapLba < count ? postmapLba : -1;
            }
            mask = -1L;
        }
        return -1;
    }
}
