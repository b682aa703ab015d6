package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import java.util.function.ObjIntConsumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;

/**
 * Cuts power and kills the process after every store, and looks at every file that this can leave
 * behind: of group commit on ordinary files, and of writes in place on persistent memory. Map
 * entries, and the slots of different lanes, become durable independently of each other, as they do
 * where blocks and lanes are so many that theirs lie in sectors of their own.
 */
class CrashModelTest {
    private static final Logger LOG = LoggerFactory.getLogger(CrashModelTest.class);
    private static final int MAX_IMAGES = 4000;
    private static final int OPERATIONS = 11;
    private static final int BLOCKS = 3;
    private static final int LANES = 2;

    /** What makes one commit begin while another one is under way. */
    private static final List<Consumer<CrashModel>> OVERLAPPING =
            List.of(
                    model -> model.write(0),
                    model -> model.write(1),
                    model -> model.zero(0),
                    CrashModel::beginFlush,
                    CrashModel::flush);

    /** What makes a block be filled where it is, and written otherwise before and after. */
    private static final List<Consumer<CrashModel>> FILLING =
            List.of(
                    model -> model.fill(0),
                    model -> model.fill(1),
                    model -> model.write(0),
                    model -> model.zero(0),
                    CrashModel::beginFlush,
                    CrashModel::flush,
                    CrashModel::restart);

    /**
     * What makes a block be in the cache or in the table, or an old one here and a new one there.
     */
    private static final List<Consumer<CrashModel>> CACHED =
            List.of(
                    model -> model.write(0),
                    model -> model.write(1),
                    model -> model.write(2),
                    model -> model.writeWithFua(0),
                    model -> model.edit(0, 1),
                    model -> model.zero(0),
                    CrashModel::writeBack,
                    CrashModel::flush,
                    CrashModel::restart);

    /** What parts blocks from their neighbours, and brings them back. */
    private static final List<Consumer<CrashModel>> DEFRAGMENTED =
            List.of(
                    model -> model.write(0),
                    model -> model.write(1),
                    model -> model.write(2),
                    model -> model.zero(1),
                    CrashModel::flush,
                    CrashModel::defragment);

    private static final int SEEDS = Integer.getInteger("crashmodel.seeds", 10_000);
    private static final int LONG_TRACE = 200;

    /** The process ends here; not an Error of the code under test. */
    private static final class Killed extends RuntimeException {
        private static final long serialVersionUID = 1;

        Killed() {
            super(null, null, false, false);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"FILE", "DAX"})
    void noShortTraceLeavesAnythingTornForeignOrLost(Medium.Kind kind) {
        requireSound(
                kind.toString(),
                OPERATIONS,
                4,
                16_104,
                (trace, length, counts) ->
                        runTrace(kind, trace, length, counts, GroupCommit::new, this::sound));
    }

    @Test
    void noTraceOfFlushesThatShareSyncsLeavesAnythingTornForeignOrLost() {
        requireSound(
                "overlapping",
                OVERLAPPING.size(),
                6,
                19_530,
                (trace, length, counts) -> runOverlapping(trace, length, counts, GroupCommit::new));
    }

    @Test
    void noTraceOfBlocksFilledWhereTheyAreLeavesAnythingTornForeignOrLost() {
        requireSound(
                "filling",
                FILLING.size(),
                5,
                19_607,
                (trace, length, counts) ->
                        runSome(
                                Medium.Kind.FILE,
                                FILLING,
                                trace,
                                length,
                                counts,
                                GroupCommit::new));
    }

    @ParameterizedTest
    @EnumSource(names = {"FILE", "DAX"})
    void noTraceOfBlocksThatAreMovedLeavesAnythingTornForeignOrLost(Medium.Kind kind) {
        requireSound(
                kind + ", defragmented",
                DEFRAGMENTED.size(),
                5,
                9_330,
                (trace, length, counts) ->
                        runSome(kind, DEFRAGMENTED, trace, length, counts, GroupCommit::new));
    }

    @Test
    void noTraceOfBlocksInTheCacheLeavesAnythingTornForeignOrLost() {
        requireSound(
                "cached",
                CACHED.size(),
                4,
                7_380,
                (trace, length, counts) -> runCached(trace, length, counts, WriteCache::new));
    }

    /** A {@link Trial} that counts what it tries. */
    private interface CountedTrial {
        void run(long trace, int length, CrashModel.Counts counts);
    }

    /**
     * Runs all traces up to a length out of so many operations, with every image.
     *
     * @param expected how many traces that are: what the README says
     */
    private static void requireSound(
            String what, int operations, int longest, long expected, CountedTrial trial) {
        CrashModel.Counts counts = new CrashModel.Counts();
        long begin = System.nanoTime();

        long traces =
                forEachTrace(
                        operations, longest, (trace, length) -> trial.run(trace, length, counts));

        report(what + ": " + traces + " traces", counts, begin);
        assertEquals(expected, traces, "traces");
        requireEveryImage(traces, counts);
    }

    /** A trace by its number, and its length. */
    private interface Trial {
        void run(long trace, int length);
    }

    /** Runs all traces up to a length out of so many operations; returns how many were run. */
    private static long forEachTrace(int operations, int longest, Trial trial) {
        LongAdder traces = new LongAdder();
        for (int length = 1; length <= longest; length++) {
            int n = length;
            long count = Math.round(Math.pow(operations, n));
            LongStream.range(0, count)
                    .parallel()
                    .forEach(
                            trace -> {
                                trial.run(trace, n);
                                traces.increment();
                            });
        }
        return traces.sum();
    }

    private static void requireEveryImage(long traces, CrashModel.Counts counts) {
        assertEquals(0, counts.samples.sum(), "moments of which not every image was tried");
        assertTrue(counts.powerCuts.sum() > traces, "too few images: " + counts);
        assertTrue(counts.kills.sum() > traces, "too few kills: " + counts);
        assertTrue(counts.doubleCrashes.sum() > traces, "too few double crashes: " + counts);
    }

    @ParameterizedTest
    @CsvSource({"FILE, false, 1", "FILE, true, 4", "DAX, false, 20"})
    void longTracesWithCrashesAnywhereLeaveNothingTornForeignOrLost(
            Medium.Kind kind, boolean cached, int share) {
        CrashModel.Counts counts = new CrashModel.Counts();
        long begin = System.nanoTime();
        int seeds = SEEDS / share;

        IntStream.range(0, seeds)
                .parallel()
                .forEach(seed -> runLongTrace(kind, cached, seed, counts));

        report(kind + (cached ? ", cached: " : ": ") + seeds + " seeds", counts, begin);
        assertTrue(counts.powerCuts.sum() > 100L * seeds, "too few images: " + counts);
        assertTrue(counts.kills.sum() > seeds, "too few kills: " + counts);
        boolean commitsInGroups = kind == Medium.Kind.FILE;
        // Recovery of writes in place has a store to make only if one was cut off before its last.
        long few = commitsInGroups ? seeds : seeds / 10;
        assertTrue(counts.doubleCrashes.sum() > few, "too few double crashes: " + counts);
        if (commitsInGroups && !cached) {
            long filled = counts.filledAtOnce.sum();
            assertTrue(filled > seeds / 16, "too few blocks filled at once: " + filled);
            long waited = counts.waited.sum();
            assertTrue(waited > 4L * seeds, "too few changes that wait for a commit: " + waited);
        }
    }

    @Test
    void aLaneOrAMapEntryMayBecomeDurableWithoutAnEarlierOne() throws IOException {
        CrashModel model =
                new CrashModel(
                        Medium.Kind.FILE,
                        BLOCKS,
                        LANES,
                        new CrashModel.Counts(),
                        GroupCommit::new,
                        this::sound);
        Set<String> alone = new HashSet<>();
        model.medium.listen(
                unit -> {
                    for (long i = 0; i < model.medium.imageCount(unit); i++) {
                        CrashMedium image = model.medium.image(unit, i);
                        if (!isLogged(image, model, 0) && isLogged(image, model, 1)) {
                            alone.add("lane");
                        }
                        if (!isMapped(image, model, 0) && isMapped(image, model, 1)) {
                            alone.add("entry");
                        }
                    }
                });

        model.write(0);
        model.write(1);
        model.flush();
        model.write(2); // needs a lane, and so has both entries stored

        assertEquals(Set.of("lane", "entry"), alone);
    }

    private static boolean isLogged(CrashMedium image, CrashModel model, int lane) {
        try {
            return Objects.requireNonNull(
                            Flog.readPair(image, model.flogOffset(), lane).currentSlot())
                    .isSwap();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isMapped(CrashMedium image, CrashModel model, int block) {
        try {
            return MapEntry.isNormal(image.load(model.mapOffset() + (long) block * MapEntry.SIZE));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void catchesFlogBeforeDataIsDurable() {
        requireCaught(
                CrashModel.Fault.TORN_OR_FOREIGN,
                Medium.Kind.FILE,
                GroupCommit::new,
                (kind, size, model) ->
                        new CrashMedium(kind, size, model::apart) {
                            @Override
                            void sync() {
                                if (model.isOpening() || flogIsDirty(this, model)) {
                                    super.sync();
                                } else {
                                    syncAllBut(model.dataOffset(), model.mapOffset());
                                }
                            }
                        });
    }

    @Test
    void catchesMapStoredWithFlog() {
        requireCaught(
                CrashModel.Fault.INCONSISTENT,
                Medium.Kind.FILE,
                GroupCommit::new,
                (kind, size, model) ->
                        new CrashMedium(kind, size, model::apart) {
                            @Override
                            public void write(long offset, MemorySegment source)
                                    throws IOException {
                                super.write(offset, source);
                                long first = offset - model.flogOffset();
                                long end = first + source.byteSize();
                                for (long at = first;
                                        at >= 0 && at < Math.min(end, LANES * Flog.PAIR_STRIDE);
                                        at += Flog.PAIR_STRIDE) {
                                    storeCurrent((int) (at / Flog.PAIR_STRIDE));
                                }
                            }

                            private void storeCurrent(int lane) throws IOException {
                                Flog.Slot slot =
                                        Flog.readPair(this, model.flogOffset(), lane).currentSlot();
                                if (slot != null && slot.isSwap()) {
                                    store(model.mapOffset() + 4L * slot.lba(), slot.newMap());
                                }
                            }
                        });
    }

    @Test
    void catchesTwoLanesForOneBlock() {
        requireCaught(
                CrashModel.Fault.INCONSISTENT,
                Medium.Kind.FILE,
                (medium, laneCount, lanes, held) ->
                        new GroupCommit(medium, laneCount, lanes, held) {
                            @Override
                            void replaced(HeldWrite earlier) {}
                        },
                this::sound);
    }

    @Test
    void catchesOpeningWithoutSync() {
        requireCaught(
                CrashModel.Fault.TORN_OR_FOREIGN,
                Medium.Kind.FILE,
                GroupCommit::new,
                (kind, size, model) ->
                        new CrashMedium(kind, size, model::apart) {
                            private boolean opened;

                            @Override
                            void sync() {
                                // The first sync of an open is the one before recovery.
                                if (model.isOpening() && !opened) {
                                    opened = true;
                                    return;
                                }
                                opened = model.isOpening();
                                super.sync();
                            }
                        });
    }

    @Test
    void catchesSlotReusedBeforeItsMapEntryIsDurable() {
        requireCaught(
                CrashModel.Fault.INCONSISTENT,
                Medium.Kind.FILE,
                GroupCommit::new,
                (kind, size, model) ->
                        new CrashMedium(kind, size, model::apart) {
                            @Override
                            void sync() {
                                if (model.isOpening() || flogIsDirty(this, model)) {
                                    super.sync();
                                } else {
                                    syncAllBut(model.mapOffset(), model.mapOffset() + 512);
                                }
                            }
                        });
    }

    @Test
    void catchesBatchesOfOneBlockThatShareASync() {
        requireCaught(
                CrashModel.Fault.LOST_AFTER_FLUSH,
                5,
                (trace, length) ->
                        runOverlapping(
                                trace,
                                length,
                                new CrashModel.Counts(),
                                (medium, laneCount, lanes, held) ->
                                        new GroupCommit(medium, laneCount, lanes, held) {
                                            @Override
                                            boolean mayPrepare() {
                                                return true;
                                            }
                                        }),
                OVERLAPPING.size());
    }

    @Test
    void catchesBlockFilledWhoseZeroingIsNotDurable() {
        requireFillingCaught(
                CrashModel.Fault.TORN_OR_FOREIGN,
                (medium, laneCount, lanes, held) ->
                        new GroupCommit(medium, laneCount, lanes, held) {
                            @Override
                            boolean areZeroesDurable() {
                                return true;
                            }
                        });
    }

    @Test
    void catchesSwapLoggedWhileTheEntryOfTheFilledBlockIsNotDurable() {
        requireFillingCaught(
                CrashModel.Fault.LOST_AFTER_FLUSH,
                (medium, laneCount, lanes, held) ->
                        new GroupCommit(medium, laneCount, lanes, held) {
                            @Override
                            boolean mayPrepare() {
                                return true;
                            }
                        });
    }

    @Test
    void catchesSwapLoggedWithTheEntryOfTheFilledBlock() {
        requireFillingCaught(
                CrashModel.Fault.INCONSISTENT,
                (medium, laneCount, lanes, held) ->
                        new GroupCommit(medium, laneCount, lanes, held) {
                            @Override
                            boolean mayLogNext(HeldWrite write) {
                                return true;
                            }
                        });
    }

    private void requireFillingCaught(
            CrashModel.Fault fault, BlockTranslationTable.GroupCommitMaker maker) {
        requireCaught(
                fault,
                5,
                (trace, length) ->
                        runSome(
                                Medium.Kind.FILE,
                                FILLING,
                                trace,
                                length,
                                new CrashModel.Counts(),
                                maker),
                FILLING.size());
    }

    @Test
    void catchesBlockForgottenByTheCacheBeforeTheTableHasIt() {
        requireCachedCaught(
                CrashModel.Fault.LOST_AFTER_KILL,
                (medium, base, slotCount, blockSize, readOnly) ->
                        new WriteCache(medium, base, slotCount, blockSize, readOnly) {
                            @Override
                            synchronized boolean copy(long block, long upTo, MemorySegment target)
                                    throws IOException {
                                boolean wanted = super.copy(block, upTo, target);
                                if (wanted) {
                                    forget(block, 1, lastSeq());
                                }
                                return wanted;
                            }
                        });
    }

    @Test
    void catchesBlockKeptByTheCacheThatWasChangedInTheTable() {
        requireCachedCaught(
                CrashModel.Fault.LOST_AFTER_KILL,
                (medium, base, slotCount, blockSize, readOnly) ->
                        new WriteCache(medium, base, slotCount, blockSize, readOnly) {
                            private boolean bringing;

                            @Override
                            synchronized long oldest(long upTo) {
                                long block = super.oldest(upTo);
                                bringing = block >= 0;
                                return block;
                            }

                            @Override
                            synchronized void forget(long block, long count, long upTo)
                                    throws IOException {
                                if (bringing) {
                                    super.forget(block, count, upTo);
                                }
                            }
                        });
    }

    @Test
    void catchesFlushThatLeavesBlocksInTheCache() {
        requireCachedCaught(
                CrashModel.Fault.LOST_AFTER_FLUSH,
                (medium, base, slotCount, blockSize, readOnly) ->
                        new WriteCache(medium, base, slotCount, blockSize, readOnly) {
                            @Override
                            synchronized long oldest(long upTo) {
                                return super.oldest(upTo - 1);
                            }
                        });
    }

    /** The bytes of a block come to the memory behind the record that says that they are there. */
    @Test
    void catchesRecordInTheCacheBeforeItsBytes() {
        requireCachedCaught(
                CrashModel.Fault.TORN_OR_FOREIGN,
                (medium, base, slotCount, blockSize, readOnly) ->
                        new WriteCache(
                                new LateBytes((CrashMedium) medium),
                                base,
                                slotCount,
                                blockSize,
                                readOnly));
    }

    private static final class LateBytes extends DelegatingMedium {
        private long offset;
        private @Nullable MemorySegment late;

        LateBytes(CrashMedium medium) {
            super(medium);
        }

        @Override
        public void write(long offset, MemorySegment source) {
            this.offset = offset;
            late = source;
        }

        @Override
        public void storeLong(long offset, long word) throws IOException {
            super.storeLong(offset, word);
            MemorySegment bytes = late;
            // Its number comes first, then the block.
            if (bytes != null && offset % 16 == 0) {
                late = null;
                super.write(this.offset, bytes);
            }
        }
    }

    private void requireCachedCaught(CrashModel.Fault fault, CrashModel.CacheMaker maker) {
        requireCaught(
                fault,
                4,
                (trace, length) -> runCached(trace, length, new CrashModel.Counts(), maker),
                CACHED.size());
    }

    @Test
    void catchesSwapLoggedOnAnEntryThatIsOnlyLogged() {
        requireCaught(
                CrashModel.Fault.INCONSISTENT,
                Medium.Kind.FILE,
                (medium, laneCount, lanes, held) ->
                        new GroupCommit(medium, laneCount, lanes, held) {
                            @Override
                            boolean mayLogNext(HeldWrite write) {
                                HeldWrite amid = write.amid();
                                return amid == null || amid.isLogged();
                            }
                        },
                this::sound);
    }

    @Test
    void catchesZeroStoredOverAnEntryThatIsOnlyLogged() {
        requireCaught(
                CrashModel.Fault.INCONSISTENT,
                Medium.Kind.FILE,
                (medium, laneCount, lanes, held) ->
                        new GroupCommit(medium, laneCount, lanes, held) {
                            @Override
                            public boolean mayStore(BttArena arena, int premapLba) {
                                HeldWrite write = arena.map().held().get(premapLba);
                                HeldWrite amid = write == null ? null : write.amid();
                                return amid == null || amid.isLogged();
                            }
                        },
                this::sound);
    }

    @Test
    void catchesPersistentMemoryThatForgetsToPersistTheFlog() {
        requireCaught(
                CrashModel.Fault.INCONSISTENT,
                Medium.Kind.DAX,
                GroupCommit::new,
                (kind, size, model) ->
                        new CrashMedium(kind, size, model::apart) {
                            @Override
                            public void persist(long offset, long length) throws IOException {
                                boolean flog =
                                        offset >= model.flogOffset()
                                                && offset < model.flogOffset() + 512;
                                if (!flog) {
                                    super.persist(offset, length);
                                }
                            }
                        });
    }

    private static void report(String what, CrashModel.Counts counts, long begin) {
        LOG.info("{}, {}, {} s", what, counts, (System.nanoTime() - begin) / 1_000_000_000);
    }

    private void requireCaught(
            CrashModel.Fault fault,
            Medium.Kind kind,
            BlockTranslationTable.GroupCommitMaker maker,
            CrashModel.MediumMaker medium) {
        requireCaught(
                fault,
                5,
                (trace, length) ->
                        runTrace(kind, trace, length, new CrashModel.Counts(), maker, medium),
                OPERATIONS);
    }

    /**
     * Some trace up to a length out of so many operations shows a fault; others may show others.
     */
    private static void requireCaught(
            CrashModel.Fault fault, int longest, Trial trial, int operations) {
        Set<CrashModel.Fault> others = EnumSet.noneOf(CrashModel.Fault.class);
        for (int length = 1; length <= longest; length++) {
            long count = Math.round(Math.pow(operations, length));
            for (long trace = 0; trace < count; trace++) {
                try {
                    trial.run(trace, length);
                } catch (CrashModel.Violation e) {
                    if (e.fault() == fault) {
                        return;
                    }
                    others.add(e.fault());
                }
            }
        }
        fail("no trace shows " + fault + ", only " + others);
    }

    private CrashMedium sound(Medium.Kind kind, long size, CrashModel model) {
        return new CrashMedium(kind, size, model::apart);
    }

    private static boolean flogIsDirty(CrashMedium medium, CrashModel model) {
        return medium.isDirty(model.flogOffset(), model.flogOffset() + 512);
    }

    /** Runs a trace, given as a number to base 11, and crashes everywhere in its last operation. */
    private static void runTrace(
            Medium.Kind kind,
            long trace,
            int length,
            CrashModel.Counts counts,
            BlockTranslationTable.GroupCommitMaker maker,
            CrashModel.MediumMaker mediumMaker) {
        try {
            CrashModel model = new CrashModel(kind, BLOCKS, LANES, counts, maker, mediumMaker);
            runTrace(model, trace, length, OPERATIONS, CrashModelTest::apply);
        } catch (CrashModel.Violation | IOException e) {
            throw violation("trace %d of length %d".formatted(trace, length), e);
        }
    }

    /** Runs a trace of {@link #OVERLAPPING} in the same way. */
    private void runOverlapping(
            long trace,
            int length,
            CrashModel.Counts counts,
            BlockTranslationTable.GroupCommitMaker maker) {
        runSome(Medium.Kind.FILE, OVERLAPPING, trace, length, counts, maker);
    }

    /** Runs a trace of some operations in the same way, with a lane more. */
    private void runSome(
            Medium.Kind kind,
            List<Consumer<CrashModel>> operations,
            long trace,
            int length,
            CrashModel.Counts counts,
            BlockTranslationTable.GroupCommitMaker maker) {
        try {
            CrashModel model = new CrashModel(kind, BLOCKS, 3, counts, maker, this::sound);
            runTrace(
                    model,
                    trace,
                    length,
                    operations.size(),
                    (same, operation) -> operations.get(operation).accept(same));
        } catch (CrashModel.Violation | IOException e) {
            throw violation(
                    "trace %d of length %d of %d operations"
                            .formatted(trace, length, operations.size()),
                    e);
        }
    }

    /** Runs a trace of {@link #CACHED} in the same way, on a table that has a cache. */
    private void runCached(
            long trace, int length, CrashModel.Counts counts, CrashModel.CacheMaker maker) {
        try {
            CrashModel model =
                    new CrashModel(
                            Medium.Kind.FILE,
                            BLOCKS,
                            LANES,
                            counts,
                            GroupCommit::new,
                            this::sound,
                            maker);
            runTrace(
                    model,
                    trace,
                    length,
                    CACHED.size(),
                    (same, operation) -> CACHED.get(operation).accept(same));
        } catch (CrashModel.Violation | IOException e) {
            throw violation("cached trace %d of length %d".formatted(trace, length), e);
        }
    }

    private static void runTrace(
            CrashModel model,
            long trace,
            int length,
            int operations,
            ObjIntConsumer<CrashModel> apply) {
        SplittableRandom random = new SplittableRandom(trace);
        long rest = trace;
        for (int i = 0; i < length; i++) {
            if (i == length - 1) {
                model.medium.listen(
                        unit -> {
                            model.verifyPowerCuts(unit, MAX_IMAGES, random);
                            model.verifyKill(MAX_IMAGES, random);
                        });
                model.tableMedium.listen(unit -> model.verifyKill(MAX_IMAGES, random));
                if (model.cacheMedium != null) {
                    model.cacheMedium.listen(unit -> model.verifyKill(MAX_IMAGES, random));
                }
            }
            apply.accept(model, (int) (rest % operations));
            rest /= operations;
        }
        model.verifyPowerCuts(-1, MAX_IMAGES, random);
        model.verifyKill(MAX_IMAGES, random);
        model.verifyRunning();
    }

    private static void apply(CrashModel model, int operation) {
        int block = operation % BLOCKS;
        switch (operation / BLOCKS) {
            case 0 -> model.write(block);
            case 1 -> model.writeWithFua(block);
            case 2 -> model.zero(block);
            default -> {
                if (operation == OPERATIONS - 1) {
                    model.restart();
                } else {
                    model.flush();
                }
            }
        }
    }

    private static CrashModel.Violation violation(String where, Throwable e) {
        CrashModel.Fault fault =
                e instanceof CrashModel.Violation violation
                        ? violation.fault()
                        : CrashModel.Fault.INCONSISTENT;
        CrashModel.Violation violation =
                new CrashModel.Violation(fault, where + ": " + e.getMessage());
        violation.initCause(e);
        return violation;
    }

    /** Changes of all kinds, some of them during commits, with kills and power cuts anywhere. */
    private void runLongTrace(
            Medium.Kind kind, boolean cached, int seed, CrashModel.Counts counts) {
        SplittableRandom random = new SplittableRandom(seed);
        int step = 0;
        try {
            int lanes = seed % 2 == 0 ? 3 : 6;
            CrashModel model =
                    new CrashModel(
                            kind,
                            longTraceBlocks(seed),
                            lanes,
                            counts,
                            CrashModel.Reentered::new,
                            this::sound,
                            cached ? WriteCache::new : null);
            listen(model, random);
            for (step = 0; step < LONG_TRACE; step++) {
                try {
                    if (step == 0 && model.blockCount > CrashModel.MANY) {
                        refill(model, random); // all own blocks in a row at first
                    } else {
                        applyAny(model, random);
                    }
                    model.goOn();
                } catch (Killed e) {
                    recover(model, random);
                }
                model.verifyRunning();
            }
        } catch (CrashModel.Violation | IOException e) {
            throw violation("seed %d, step %d".formatted(seed, step), e);
        }
    }

    /** Few, as those are changed most often; or enough to be filled at once, in up to two lines. */
    private static int longTraceBlocks(int seed) {
        return switch (seed % 16) {
            case 14 -> BlockMap.LINE + 4;
            case 15 -> CrashModel.MANY + 4;
            default -> seed % 2 == 0 ? 4 : 6;
        };
    }

    /** Restarts after a kill or a power cut, and again where that is interrupted by one. */
    private static void recover(CrashModel model, SplittableRandom random) {
        while (true) {
            model.countKill();
            try {
                if (random.nextInt(3) == 0) {
                    model.losePower(model.medium.anyImage(random));
                    listen(model, random);
                }
                model.restart();
                return;
            } catch (Killed e) {
                // The next round recovers from this one, too.
                model.countDoubleCrash();
            }
        }
    }

    private static void listen(CrashModel model, SplittableRandom random) {
        model.tableMedium.listen(unit -> maybeDie(model, random));
        if (model.cacheMedium != null) {
            model.cacheMedium.listen(unit -> maybeDie(model, random));
        }
        model.medium.listen(
                new CrashMedium.Listener() {
                    @Override
                    public void stored(int unit) {
                        maybeDie(model, random);
                        if (!model.isOpening()) {
                            model.verifyPowerCut(unit, random);
                        }
                    }

                    @Override
                    public void syncing() {
                        if (model.commitsInGroups()
                                && !model.isOpening()
                                && random.nextInt(2) == 0) {
                            changeDuringCommit(model, random);
                        }
                    }
                });
    }

    private static void maybeDie(CrashModel model, SplittableRandom random) {
        // A process that opens the pool stores little, and what it leaves behind matters most;
        // without commits to finish, it is one map entry at most.
        int odds =
                model.commitsInGroups()
                        ? model.isOpening() ? 10 : 300
                        : model.isOpening() ? 2 : 100;
        if (random.nextInt(odds) == 0) {
            throw new Killed();
        }
    }

    /** A change while a commit is under way, for which it waits if it must. */
    private static void changeDuringCommit(CrashModel model, SplittableRandom random) {
        int block = random.nextInt(model.blockCount);
        if (model.isChanging(block)) {
            return;
        }
        if (model.hasCache()) {
            // Other changes would wait until those that are brought have come.
            if (model.cacheHasRoom()) {
                model.write(block);
            }
            return;
        }
        int count = 1;
        int most = anyCount(model, block, random);
        while (count < most && !model.isChanging(block + count)) {
            count++;
        }
        if (random.nextInt(3) == 0) {
            if (random.nextInt(3) == 0) {
                model.setError(block);
            } else {
                model.zero(block, count);
            }
        } else if (random.nextInt(3) == 0) {
            model.fill(block, count);
        } else if (model.hasIdleLane()) {
            if (random.nextBoolean()) {
                model.write(block);
            } else {
                model.edit(block, random.nextInt(2));
            }
        }
    }

    /** How many blocks to change from one on: one mostly, or any number. */
    private static int anyCount(CrashModel model, int block, SplittableRandom random) {
        return random.nextInt(3) == 0 ? 1 + random.nextInt(model.blockCount - block) : 1;
    }

    /** Has many blocks own blocks in a row and read as zeroes, and writes them. */
    private static void refill(CrashModel model, SplittableRandom random) {
        int first = random.nextInt(model.blockCount - CrashModel.MANY);
        int spare = model.blockCount - CrashModel.MANY - first;
        int count = CrashModel.MANY + random.nextInt(spare + 1);
        model.defragment();
        model.goOn();
        model.zero(first, count);
        model.goOn();
        model.flush();
        model.goOn();
        model.write(first, count);
    }

    private static void applyAny(CrashModel model, SplittableRandom random) {
        int block = random.nextInt(model.blockCount);
        int count = anyCount(model, block, random);
        switch (random.nextInt(21)) {
            case 0, 1, 2 -> model.write(block, count);
            case 3, 4 -> model.edit(block, random.nextInt(2));
            case 5, 6 -> model.zero(block, count);
            case 7 -> model.setError(block);
            case 8 -> model.writeWithFua(block);
            case 9, 10 -> model.flush();
            case 11, 12, 13 -> {
                if (model.hasCache()) {
                    model.writeBack();
                } else {
                    model.fill(block, count);
                }
            }
            case 14, 15, 16 -> {
                if (model.commitsInGroups()) {
                    model.beginFlush();
                }
            }
            case 17 -> model.defragment();
            case 18 -> model.flushIfDue();
            case 19 -> {
                if (model.blockCount > CrashModel.MANY) {
                    refill(model, random);
                }
            }
            default -> recover(model, random);
        }
    }
}
