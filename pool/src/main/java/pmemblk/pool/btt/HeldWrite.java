package pmemblk.pool.btt;

import org.jspecify.annotations.Nullable;

/**
 * A write whose data lies in its lane's free block, and that the medium's map does not name: its
 * swap waits for a commit, is being logged, or is durable in the flog. It keeps its lane.
 */
final class HeldWrite {
    private final BttArena arena;
    private final int premapLba;
    private final int lane;
    private final int postmapLba;

    /** The map entry that its swap replaces, {@linkplain MapEntry#explicit explicit}. */
    private final int oldEntry;

    /**
     * The write of the same block that a commit had begun with, or logged, when this one came; null
     * from the moment when its entry is stored for this one's sake, or it would keep all that ever
     * were before it in memory. Guarded by the lock of the map entry.
     */
    private @Nullable HeldWrite earlier;

    /** Guarded by the lock of its map entry. */
    private Stage stage = Stage.WAITING;

    /** How far a commit has come with a write. Of all writes of a block one at most is amid. */
    enum Stage {
        /** None has begun with it: a later write of its block takes its place. */
        WAITING,
        /** It is being logged: its map entry must stay as it is. */
        COMMITTING,
        /** It is durable, and its map entry may be stored. */
        LOGGED,
        /** Its map entry is stored. */
        PUBLISHED
    }

    /**
     * A write that no commit has begun with.
     *
     * @param stored the block's map entry as stored, {@linkplain MapEntry#explicit explicit}
     * @param replaced the write of the block that was the latest until now, or null
     */
    HeldWrite(
            BttArena arena,
            int premapLba,
            int lane,
            int stored,
            int postmapLba,
            @Nullable HeldWrite replaced) {
        this.arena = arena;
        this.premapLba = premapLba;
        this.lane = lane;
        this.postmapLba = postmapLba;
        this.earlier = replaced == null || replaced.isAmid() ? replaced : replaced.earlier;
        // The entry of an earlier one is stored before this one is logged.
        this.oldEntry = earlier == null ? stored : MapEntry.normal(earlier.postmapLba);
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

    int oldEntry() {
        return oldEntry;
    }

    void reach(Stage next) {
        stage = next;
        earlier = null;
    }

    boolean isLogged() {
        return stage == Stage.LOGGED;
    }

    /** Whether a commit has begun with it, and its map entry is not stored. */
    boolean isAmid() {
        return stage == Stage.COMMITTING || stage == Stage.LOGGED;
    }

    /** This write or the one that it replaced, whichever is amid; null if neither is. */
    @Nullable HeldWrite amid() {
        if (isAmid()) {
            return this;
        }
        return earlier != null && earlier.isAmid() ? earlier : null;
    }
}
