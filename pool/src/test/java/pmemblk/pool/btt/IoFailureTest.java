package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;

/**
 * Fails the N-th access to an ordinary file, for N = 1, 2, … until a run has no N-th access: what
 * fails is said, nothing is acknowledged that is not so, and the pool opens consistent afterwards.
 */
class IoFailureTest {
    private static final Logger LOG = LoggerFactory.getLogger(IoFailureTest.class);
    private static final int STEPS = 40;
    private static final int SEEDS = 20;

    enum Access {
        READ,
        WRITE,
        SYNC
    }

    /** A medium of which one access fails. */
    private static final class FailingMedium extends CrashMedium {
        private final SplittableRandom random;
        private final Access failing;
        private boolean paused;
        private int left = Integer.MAX_VALUE;

        FailingMedium(Kind kind, long size, Access failing, SplittableRandom random) {
            super(kind, size);
            this.failing = failing;
            this.random = random;
        }

        void failAtAccess(int n) {
            left = n;
        }

        boolean hasFailed() {
            return left <= 0;
        }

        /** Whether accesses are neither counted nor failed. */
        void pause(boolean now) {
            paused = now;
        }

        private boolean fails(Access access) {
            return access == failing && !paused && --left == 0;
        }

        private void failIf(boolean now) throws IOException {
            if (now) {
                throw new IOException("the device fails");
            }
        }

        @Override
        public void read(long offset, MemorySegment target) throws IOException {
            failIf(fails(Access.READ));
            super.read(offset, target);
        }

        @Override
        public int load(long offset) throws IOException {
            failIf(fails(Access.READ));
            return super.load(offset);
        }

        @Override
        public void write(long offset, MemorySegment source) throws IOException {
            failIf(fails(Access.WRITE));
            super.write(offset, source);
        }

        @Override
        public void persist(long offset, long length) throws IOException {
            if (fails(Access.SYNC)) {
                failSync(random);
                failIf(true);
            }
            super.persist(offset, length);
        }
    }

    @ParameterizedTest
    @EnumSource
    void noFailureLosesOrFalselyAcknowledgesAnything(Access failing) throws IOException {
        long runs = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            for (int n = 1; failAtAccess(failing, n, seed); n++) {
                runs++;
            }
        }
        LOG.info("{}: {} runs with a failure", failing, runs);
        assertTrue(runs > 10 * SEEDS, "too few runs: " + runs);
    }

    /** Returns whether there was an N-th access to fail. */
    private static boolean failAtAccess(Access failing, int n, int seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        SplittableRandom damage = new SplittableRandom(31L * seed + n);
        CrashModel model = model(failing, damage);
        FailingMedium medium = (FailingMedium) model.medium;
        medium.failAtAccess(n);
        try {
            boolean stopped = false;
            for (int step = 0; step < STEPS; step++) {
                IOException failure = attempt(model, random);
                assertFalse(stopped && failure == null, "acknowledged after a failed commit");
                if (failure instanceof CommitFailedException) {
                    stopped = true;
                } else if (failing == Access.SYNC && medium.hasFailed()) {
                    assertInstanceOf(CommitFailedException.class, failure);
                }
                medium.pause(true);
                model.verifyReadable();
                medium.pause(false);
            }
            if (!medium.hasFailed()) {
                return false;
            }
            medium.pause(true);
            boolean syncFailed = failing == Access.SYNC;
            model.verifyPowerCuts(-1, 20, damage);
            model.reopenAfterFailure(medium.afterKill(), syncFailed);
            return true;
        } catch (CrashModel.Violation | UncheckedIOException e) {
            throw new AssertionError("seed %d, access %d".formatted(seed, n), e);
        }
    }

    private static CrashModel model(Access failing, SplittableRandom random) throws IOException {
        return new CrashModel(
                Medium.Kind.FILE,
                4,
                3,
                new CrashModel.Counts(),
                GroupCommit::new,
                (kind, size, ignored) -> new FailingMedium(kind, size, failing, random));
    }

    /** Does something; returns how it failed, or null. */
    private static @Nullable IOException attempt(CrashModel model, SplittableRandom random) {
        int block = random.nextInt(model.blockCount);
        try {
            switch (random.nextInt(8)) {
                case 0, 1, 2 -> model.write(block);
                case 3 -> {
                    if (model.isInError(block)) {
                        model.setError(block);
                    } else {
                        model.edit(block, random.nextInt(2));
                    }
                }
                case 4 -> model.zero(block);
                case 5 -> model.setError(block);
                case 6 -> model.writeWithFua(block);
                default -> model.flush();
            }
            return null;
        } catch (UncheckedIOException e) {
            return e.getCause();
        }
    }

    @Test
    void aSyncThatFailsAtOpeningGivesUpTheHeldWrites() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        CrashModel model = model(Access.SYNC, random);
        FailingMedium medium = (FailingMedium) model.medium;
        model.write(0);
        assertEquals(1, model.heldBlocks().size());

        medium.failAtAccess(1);
        assertThrows(UncheckedIOException.class, model::restart);
        model.reopenAfterFailure(medium.afterKill(), true);

        assertEquals(0, model.heldBlocks().size());
    }
}
