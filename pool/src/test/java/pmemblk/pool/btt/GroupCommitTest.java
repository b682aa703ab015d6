package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import pmemblk.pool.media.Medium;

class GroupCommitTest {
    private static final int ROUNDS = 1000;
    private static final int LANES = 6;
    private static final long LIMIT_NANOS = 30_000_000_000L;

    @Test
    void aBlockThatIsWrittenAgainDuringEachCommitLeavesNothingInMemory() throws IOException {
        List<WeakReference<HeldWrite>> committed = new ArrayList<>();
        CrashModel model =
                new CrashModel(
                        Medium.Kind.FILE,
                        LANES,
                        LANES,
                        new CrashModel.Counts(),
                        (medium, laneCount, lanes, held) ->
                                new GroupCommit(medium, laneCount, lanes, held) {
                                    @Override
                                    boolean mayLogNext(HeldWrite write) throws IOException {
                                        committed.add(new WeakReference<>(write));
                                        return super.mayLogNext(write);
                                    }
                                },
                        (kind, size, same) -> new CrashMedium(kind, size));
        model.medium.listen(
                new CrashMedium.Listener() {
                    @Override
                    public void stored(int unit) {}

                    @Override
                    public void syncing() {
                        model.write(0);
                    }
                });

        model.write(0);
        for (int i = 0; i < ROUNDS; i++) {
            model.flush();
        }

        assertEquals(ROUNDS, committed.size());
        long end = System.nanoTime() + LIMIT_NANOS;
        long left = ROUNDS;
        while (left > LANES && System.nanoTime() < end) {
            System.gc();
            left = committed.stream().filter(write -> write.get() != null).count();
        }
        assertTrue(left <= LANES, left + " of " + ROUNDS + " writes are left");
        model.verifyRunning();
    }
}
