package pmemblk.pool.btt;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;

/**
 * The write path of memory: each step is made durable before the next, which there costs a few
 * cache lines or nothing.
 */
final class InPlace implements WritePath {
    private static final Logger LOG = LoggerFactory.getLogger(InPlace.class);

    private final Medium medium;
    private final Lanes lanes;

    /** Why changes are lost from now on; set once, by a flush. */
    private volatile @Nullable IOException failure;

    InPlace(Medium medium, Lanes lanes) {
        this.medium = medium;
        this.lanes = lanes;
    }

    @Override
    public void requireSound() throws CommitFailedException {
        IOException cause = failure;
        if (cause != null) {
            throw new CommitFailedException(cause);
        }
    }

    @Override
    public @Nullable String failureReason() {
        IOException cause = failure;
        return cause == null ? null : new CommitFailedException(cause).getMessage();
    }

    @Override
    public int takeLane() {
        return lanes.take();
    }

    @Override
    public int tryTakeLane() {
        return lanes.tryTake();
    }

    @Override
    public @Nullable Filling filling() {
        return null;
    }

    @Override
    public void giveLane(int lane) {
        lanes.give(lane);
    }

    @Override
    public void dataWritten(long offset, long length) throws IOException {
        medium.persist(offset, length);
    }

    @Override
    public boolean swap(BttArena arena, int lane, int premapLba, int oldEntry, int postmapLba)
            throws IOException {
        BlockMap map = arena.map();
        arena.flog().requireUntouched(lane);
        arena.flog().log(lane, premapLba, oldEntry, MapEntry.normal(postmapLba));
        map.set(premapLba, MapEntry.normal(postmapLba));
        map.persist(premapLba, 1);
        return true;
    }

    @Override
    public boolean mayStore(BttArena arena, int premapLba) {
        return true;
    }

    @Override
    public void stored(BttArena arena, int firstPremapLba, int count) throws IOException {
        arena.map().persist(firstPremapLba, count);
    }

    /** All is as durable as it gets, unless the file is gone, where nothing lasts. */
    @Override
    public void flush() throws IOException {
        requireSound();
        try {
            medium.requireWhole();
        } catch (IOException e) {
            LOG.error("no changes are taken from now on: {}", e.getMessage());
            failure = e;
            throw new CommitFailedException(e);
        }
    }

    @Override
    public void prepareFlush() {}

    @Override
    public CompletableFuture<Void> flushAsync(int callers) {
        try {
            flush();
            return CompletableFuture.completedFuture(null);
        } catch (IOException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    @Override
    public void releaseLanes() {}

    @Override
    public void checkpoint() throws CommitFailedException {
        requireSound();
    }

    @Override
    public long flushIfDue(long periodNanos) {
        return periodNanos;
    }
}
