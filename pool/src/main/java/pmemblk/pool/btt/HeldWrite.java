package pmemblk.pool.btt;

import org.jspecify.annotations.Nullable;

/**
 * A write whose data lies in its lane's free block, and whose swap waits for the next commit. Until
 * then, and until its map entry is stored, it keeps the lane.
 */
final class HeldWrite {
    private final BttArena arena;
    private final int premapLba;
    private final int lane;
    private final int postmapLba;

    /** The write of the same block that was being committed when this one came. */
    private final @Nullable HeldWrite earlier;

    /** Whether a commit is logging it; guarded by the lock of its map entry. */
    private boolean frozen;

    HeldWrite(
            BttArena arena, int premapLba, int lane, int postmapLba, @Nullable HeldWrite replaced) {
        this.arena = arena;
        this.premapLba = premapLba;
        this.lane = lane;
        this.postmapLba = postmapLba;
        this.earlier = replaced == null || replaced.frozen ? replaced : replaced.earlier;
    }

    BttArena arena() {
        return arena;
    }

    int premapLba() {
        return premapLba;
    }

    int lane() {
        return lane;
    }

    /** The block that holds the data. */
    int postmapLba() {
        return postmapLba;
    }

    boolean isFrozen() {
        return frozen;
    }

    void freeze(boolean begin) {
        frozen = begin;
    }

    /** Whether a commit is logging this write, or the one that it replaced. */
    boolean isCommitting() {
        return frozen || (earlier != null && earlier.frozen);
    }
}
