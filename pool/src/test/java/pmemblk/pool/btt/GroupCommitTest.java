package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.pool.media.Medium;

class GroupCommitTest {
    private static final int ROUNDS = 1000;
    private static final int LANES = 6;
    private static final long LIMIT_NANOS = 30_000_000_000L;

    private static CrashModel model(BlockTranslationTable.GroupCommitMaker maker)
            throws IOException {
        return new CrashModel(
                Medium.Kind.FILE,
                LANES,
                LANES,
                new CrashModel.Counts(),
                maker,
                (kind, size, model) -> new CrashMedium(kind, size));
    }

    @Test
    void aCheckpointMakesDurableWhatWasPublishedBefore() throws IOException {
        CrashMedium medium = new CrashMedium(Medium.Kind.FILE, 17 << 20);
        BttSite site = new BttSite(medium, 8192, new UUID(1, 2), 512);
        BlockTranslationTable table = BlockTranslationTable.open(site, true, false, null);
        for (int lba = 0; lba < table.laneCount(); lba++) {
            table.write(lba, MemorySegment.ofArray(new byte[512]));
        }
        table.flush();
        assertTrue(medium.isDirty(0, medium.size()), "nothing was published");

        table.checkpoint();

        assertFalse(medium.isDirty(0, medium.size()));
    }

    @Test
    void aBlockThatIsWrittenAgainDuringEachCommitLeavesNothingInMemory() throws IOException {
        List<WeakReference<HeldWrite>> committed = new ArrayList<>();
        CrashModel model =
                model(
                        (medium, laneCount, lanes, held) ->
                                new GroupCommit(medium, laneCount, lanes, held) {
                                    @Override
                                    boolean mayLogNext(HeldWrite write) throws IOException {
                                        committed.add(new WeakReference<>(write));
                                        return super.mayLogNext(write);
                                    }
                                });
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

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aWriteThatOvertakesAnotherWhileABatchIsFrozenLeavesOneOfThemInIt(boolean isFilled)
            throws IOException {
        CrashModel[] models = new CrashModel[1];
        boolean[] overtaken = new boolean[1];
        CrashModel model =
                model(
                        (medium, laneCount, lanes, held) ->
                                new GroupCommit(medium, laneCount, lanes, held) {
                                    @Override
                                    boolean mayLogNext(HeldWrite write) throws IOException {
                                        if (write.premapLba() == 1 && !overtaken[0]) {
                                            overtaken[0] = true;
                                            models[0].write(2);
                                        }
                                        return super.mayLogNext(write);
                                    }
                                });
        models[0] = model;

        model.write(0);
        model.write(1);
        if (isFilled) {
            model.fill(2);
        } else {
            model.write(2);
        }
        // The lane of block 0, which a commit looks at first, is the next to be taken.
        model.zero(0);
        model.flush();

        assertTrue(overtaken[0]);
        model.verifyPowerCuts(-1, 1000, new SplittableRandom(1));
    }
}
