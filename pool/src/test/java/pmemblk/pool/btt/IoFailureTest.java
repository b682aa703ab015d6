package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.NoSpaceException;

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
        SYNC,
        /** A write to where the file has a hole. */
        ALLOCATE
    }

    /** The process ends here. */
    private static final class Killed extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    /** A medium of which one access fails. */
    private static final class FailingMedium extends CrashMedium {
        private final SplittableRandom random;
        private final Access failing;
        private final Set<Long> allocatedUnits = new HashSet<>();
        private BooleanSupplier counting = () -> true;
        private int left = Integer.MAX_VALUE;
        private @Nullable IOException writeFailure;

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

        /** Other accesses are neither counted nor failed. */
        void countWhile(BooleanSupplier condition) {
            counting = condition;
        }

        private boolean fails(Access access) {
            return access == failing && counting.getAsBoolean() && --left == 0;
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

        /** What is in memory is read without the device; else it would not be read now. */
        @Override
        public boolean readNow(long offset, MemorySegment target) throws IOException {
            super.read(offset, target);
            return true;
        }

        @Override
        public int load(long offset) throws IOException {
            failIf(fails(Access.READ));
            return super.load(offset);
        }

        @Override
        public void write(long offset, MemorySegment source) throws IOException {
            if (fails(Access.WRITE)) {
                writeFailure = new IOException("the device fails");
                throw writeFailure;
            }
            place(offset, source.byteSize());
            super.write(offset, source);
        }

        private void place(long offset, long length) throws IOException {
            int unit = CrashMedium.unitOf(Kind.FILE);
            List<Long> units =
                    LongStream.rangeClosed(offset / unit, (offset + length - 1) / unit)
                            .boxed()
                            .toList();
            if (!allocatedUnits.containsAll(units) && fails(Access.ALLOCATE)) {
                throw new NoSpaceException("disk.pool", "the device is full");
            }
            allocatedUnits.addAll(units);
        }

        @Override
        public @Nullable IOException writeFailure() {
            return writeFailure;
        }

        @Override
        public void reserve(long offset) throws IOException {
            if (failing == Access.ALLOCATE) {
                store(offset, load(offset));
            }
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
        requireNothingLost(failing, null);
    }

    @ParameterizedTest
    @EnumSource
    void noFailureLosesOrFalselyAcknowledgesAnythingInTheCache(Access failing) throws IOException {
        requireNothingLost(failing, WriteCache::new);
    }

    private static void requireNothingLost(
            Access failing, CrashModel.@Nullable CacheMaker cacheMaker) throws IOException {
        long runs = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            for (int n = 1; failAtAccess(failing, n, seed, cacheMaker); n++) {
                runs++;
            }
        }
        LOG.info("{}: {} runs with a failure", failing, runs);
        assertTrue(runs > 5 * SEEDS, "too few runs: " + runs);
    }

    /** Returns whether there was an N-th access to fail. */
    private static boolean failAtAccess(
            Access failing, int n, int seed, CrashModel.@Nullable CacheMaker cacheMaker)
            throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        SplittableRandom damage = new SplittableRandom(31L * seed + n);
        CrashModel model = model(failing, damage, cacheMaker);
        FailingMedium medium = (FailingMedium) model.medium;
        medium.failAtAccess(n);
        try {
            boolean stopped = false;
            int failures = 0;
            for (int step = 0; step < STEPS; step++) {
                IOException failure = attempt(model, random);
                assertFalse(stopped && failure == null, "acknowledged after a failure");
                stopped = !concernsOneRequest(failing) && medium.hasFailed();
                if (failing == Access.READ) {
                    assertFalse(failure instanceof CommitFailedException, "a read ended it all");
                } else if (failing == Access.SYNC && medium.hasFailed()) {
                    assertInstanceOf(CommitFailedException.class, failure);
                }
                failures += failure == null ? 0 : 1;
                assertTrue(failures <= 1 || !concernsOneRequest(failing), "a second failure");
                medium.countWhile(() -> false);
                model.verifyReadable();
                medium.countWhile(() -> true);
            }
            if (!medium.hasFailed()) {
                return false;
            }
            medium.countWhile(() -> false);
            boolean syncFailed = failing == Access.SYNC;
            model.verifyPowerCuts(-1, 20, damage);
            model.reopenAfterFailure(medium.afterKill(), syncFailed);
            return true;
        } catch (CrashModel.Violation | UncheckedIOException e) {
            throw new AssertionError("seed %d, access %d".formatted(seed, n), e);
        }
    }

    /** Whether what fails is the affair of one request, and all others go on. */
    private static boolean concernsOneRequest(Access failing) {
        return failing == Access.READ || failing == Access.ALLOCATE;
    }

    private static CrashModel model(Access failing, SplittableRandom random) throws IOException {
        return model(failing, random, null);
    }

    private static CrashModel model(
            Access failing, SplittableRandom random, CrashModel.@Nullable CacheMaker cacheMaker)
            throws IOException {
        return new CrashModel(
                Medium.Kind.FILE,
                4,
                3,
                new CrashModel.Counts(),
                GroupCommit::new,
                (kind, size, ignored) -> new FailingMedium(kind, size, failing, random),
                cacheMaker);
    }

    /** Does something; returns how it failed, or null. */
    private static @Nullable IOException attempt(CrashModel model, SplittableRandom random) {
        int block = random.nextInt(model.blockCount);
        try {
            switch (random.nextInt(10)) {
                case 0, 1, 2 -> model.write(block);
                case 3 -> {
                    if (model.hasCache()) {
                        model.writeThrough(block);
                    } else {
                        model.fill(block);
                    }
                }
                case 4 -> {
                    if (model.isInError(block)) {
                        model.setError(block);
                    } else {
                        model.edit(block, random.nextInt(2));
                    }
                }
                case 5 -> model.zero(block);
                case 6 -> model.setError(block);
                case 7 -> model.writeWithFua(block);
                case 8 -> {
                    model.defragment();
                    model.flush();
                }
                default -> model.flush();
            }
            return null;
        } catch (UncheckedIOException e) {
            return e.getCause();
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "ALLOCATE")
    void noFailureAtOpeningIsPassedOverOrLosesAnything(Access failing) throws IOException {
        long runs = 0;
        // Many a process that is killed leaves nothing to be written by the next.
        for (int seed = 0; seed < 2 * SEEDS; seed++) {
            for (int n = 1; failAtOpening(failing, n, seed); n++) {
                runs++;
            }
        }
        LOG.info("{} at opening: {} runs with a failure", failing, runs);
        assertTrue(runs > SEEDS, "too few runs: " + runs);
    }

    /**
     * Returns whether there was an N-th access to fail when a killed process is taken over from.
     */
    private static boolean failAtOpening(Access failing, int n, int seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        SplittableRandom damage = new SplittableRandom(31L * seed + n);
        CrashModel model = model(failing, damage);
        FailingMedium medium = (FailingMedium) model.medium;
        killInMidWork(model, random);
        medium.countWhile(model::isOpening);
        medium.failAtAccess(n);
        boolean opened = false;
        try {
            model.restart();
            opened = true;
        } catch (UncheckedIOException e) {
            assertTrue(medium.hasFailed(), "it does not open, and nothing has failed");
        }
        try {
            assertTrue(opened != medium.hasFailed(), "a failure was passed over");
            if (opened) {
                return false;
            }
            medium.countWhile(() -> false);
            model.verifyPowerCuts(-1, 20, damage);
            if (failing == Access.SYNC) {
                model.reopenAfterFailure(medium.afterKill(), true);
            } else {
                medium.writeFailure = null; // the next process knows nothing of it
                model.restart();
                model.verifyKill(20, damage);
            }
            return true;
        } catch (CrashModel.Violation | UncheckedIOException e) {
            throw new AssertionError("seed %d, access %d".formatted(seed, n), e);
        }
    }

    /** Does this and that until the process is killed at one of its stores. */
    private static void killInMidWork(CrashModel model, SplittableRandom random) {
        int[] left = {20 + random.nextInt(100)};
        model.medium.listen(
                unit -> {
                    if (--left[0] == 0) {
                        throw new Killed();
                    }
                });
        try {
            while (true) {
                attempt(model, random);
            }
        } catch (Killed e) {
            model.medium.listen(unit -> {});
        }
    }

    @Test
    void aSyncThatFailsAtOpeningGivesUpTheHeldWrites() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        CrashModel model = model(Access.SYNC, random);
        FailingMedium medium = (FailingMedium) model.medium;
        model.write(0);
        model.fill(1);
        assertTrue(model.isHeld(0) && model.isHeld(1));

        medium.failAtAccess(1);
        assertThrows(UncheckedIOException.class, model::restart);
        model.reopenAfterFailure(medium.afterKill(), true);

        assertFalse(model.isHeld(0) || model.isHeld(1));
    }
}
