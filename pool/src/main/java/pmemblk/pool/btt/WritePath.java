package pmemblk.pool.btt;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * How a free block that has been filled becomes what its block holds: {@link InPlace} step by step,
 * or with many others in a {@link GroupCommit}. Thread-safe.
 */
interface WritePath {

    /**
     * Sees that changes can still be made durable.
     *
     * @throws CommitFailedException if not, from the first failure on
     */
    void requireSound() throws CommitFailedException;

    /** Why changes can no longer be made durable, or null if they can. */
    @Nullable String failureReason();

    /** Takes an idle lane; waits until there is one. */
    int takeLane() throws IOException;

    /** Takes an idle lane, or returns -1 if there is none without a flush. */
    int tryTakeLane() throws IOException;

    /** How blocks are filled where they are; null if this path always takes a lane. */
    @Nullable Filling filling();

    /**
     * Makes the data that a filled free block needs to survive durable, as far as this path wants
     * that before {@link #swap}.
     */
    void dataWritten(long offset, long length) throws IOException;

    /**
     * Makes a filled free block the one that readers find; the caller holds the map entry's lock.
     *
     * @param oldEntry the block's map entry as stored, {@linkplain MapEntry#explicit explicit}
     * @return whether the lane is done with; if not, this path gives it back in time
     */
    boolean swap(BttArena arena, int lane, int premapLba, int oldEntry, int postmapLba)
            throws IOException;

    /** Gives back a lane that was taken and not used, or is done with. */
    void giveLane(int lane);

    /**
     * Whether the entry of a block may be stored now, the caller holding its lock. If not, a commit
     * is logging the block: unlock, {@link #flush}, and try again.
     */
    boolean mayStore(BttArena arena, int premapLba) throws IOException;

    /**
     * Follows the storing of entries, of which none is durable yet: forgets a write that was held
     * for one of these blocks. The caller holds the locks.
     */
    void stored(BttArena arena, int firstPremapLba, int count) throws IOException;

    /** Returns once all that returned before is durable. */
    void flush() throws IOException;

    /** Begins with what a flush that soon comes would have to do first. */
    void prepareFlush();

    /**
     * Does what {@link #flush} does, but waits only if it has to do it itself; whoever does it
     * tells this caller.
     */
    CompletableFuture<Void> flushAsync(int callers);

    /** Flushes, if that gives lanes back, which held the swaps that were made before. */
    void releaseLanes() throws IOException;

    /**
     * Flushes, and leaves nothing for recovery to finish; nobody else changes anything meanwhile.
     */
    void checkpoint() throws IOException;

    /**
     * Flushes unless that was done within the last period; returns in how many nanoseconds it may
     * be due again.
     */
    long flushIfDue(long periodNanos) throws IOException;
}
