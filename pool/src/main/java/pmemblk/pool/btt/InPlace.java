package pmemblk.pool.btt;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.Medium;

/**
 * The write path of memory: each step is made durable before the next, which there costs a few
 * cache lines or nothing.
 */
final class InPlace implements WritePath {
    private final Medium medium;
    private final Lanes lanes;

    InPlace(Medium medium, Lanes lanes) {
        this.medium = medium;
        this.lanes = lanes;
    }

    @Override
    public void requireSound() {}

    @Override
    public @Nullable String failureReason() {
        return null;
    }

    @Override
    public int takeLane() {
        return lanes.take();
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

    @Override
    public void flush() {}

    @Override
    public CompletableFuture<Void> flushAsync(int callers) {
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public void checkpoint() {}

    @Override
    public long flushIfDue(long periodNanos) {
        return periodNanos;
    }
}
