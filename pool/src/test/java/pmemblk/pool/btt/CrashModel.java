package pmemblk.pool.btt;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.Medium;

/**
 * A table on a {@link CrashMedium}, and what is known of its blocks: what a client was told, what
 * it may find after a power cut, and what after a kill.
 *
 * <p>A block has two of the medium's units, each filled with the block's number and a stamp that no
 * other write has; its value is the pair of stamps, so that a torn block, another's block and a
 * stale one all show as values that the block may not have.
 */
class CrashModel {
    static final long ZERO = 0;
    static final long ERROR = -1;

    /** A value that no block may have: torn within a unit, or another block's. */
    private static final long FOREIGN = -2;

    private static final long BASE = 8192;
    private static final UUID PARENT = new UUID(1, 2);

    /** More lines of map entries than there are. */
    private static final int LINES = 2;

    /** Blocks that the cache has room for, where there is one: fewer than there are. */
    private static final int SLOTS = 2;

    final int blockCount;
    private final Medium.Kind kind;
    private final int unit;
    private final InfoBlock info;
    private final BlockTranslationTable.GroupCommitMaker maker;
    private final CacheMaker cacheMaker;
    private final Counts counts;

    CrashMedium medium;
    CrashMedium tableMedium;
    @Nullable CrashMedium cacheMedium;
    private CachedTable table;
    private @Nullable GroupCommit commit;
    private int lastStamp;

    /** The value that each block has for a client. */
    private final long[] current;

    /** The values that each block may have after a power cut: the durable one, and all since. */
    private final List<List<Long>> possible = new ArrayList<>();

    /** How many values of each block are not possible any more. */
    private final long[] pastValues;

    /** For each block, the past values once the commit is complete that has begun; or null. */
    private long @Nullable [] pastOnceComplete;

    /** The block that is being changed, or -1, and the value that it is to have. */
    private int changing = -1;

    private long changingTo;

    /** The blocks of which a change has failed since the last one that succeeded. */
    private final Set<Integer> uncertain = new HashSet<>();

    private boolean opening;
    private boolean lostPower;

    /** What was tried, in all models that share it. */
    static final class Counts {
        final LongAdder powerCuts = new LongAdder();
        final LongAdder kills = new LongAdder();

        /** Crashes while a process recovers from an earlier one. */
        final LongAdder doubleCrashes = new LongAdder();

        /** Moments of which not every image was tried, as there were too many. */
        final LongAdder samples = new LongAdder();

        @Override
        public String toString() {
            return "%d power cuts, %d kills, %d double crashes"
                    .formatted(powerCuts.sum(), kills.sum(), doubleCrashes.sum());
        }
    }

    /** A crash left something that no client may find. */
    static final class Violation extends AssertionError {
        private static final long serialVersionUID = 1;

        Violation(String message) {
            super(message);
        }
    }

    CrashModel(
            Medium.Kind kind,
            int blockCount,
            int laneCount,
            Counts counts,
            BlockTranslationTable.GroupCommitMaker maker,
            MediumMaker mediumMaker)
            throws IOException {
        this(kind, blockCount, laneCount, counts, maker, mediumMaker, null);
    }

    /** A model with a cache, if there is a maker for it. */
    CrashModel(
            Medium.Kind kind,
            int blockCount,
            int laneCount,
            Counts counts,
            BlockTranslationTable.GroupCommitMaker maker,
            MediumMaker mediumMaker,
            @Nullable CacheMaker cacheMaker)
            throws IOException {
        this.kind = kind;
        this.unit = CrashMedium.unitOf(kind);
        this.blockCount = blockCount;
        this.counts = counts;
        this.maker =
                (medium, lanes, idle, held) -> {
                    GroupCommit made = maker.make(medium, lanes, idle, held);
                    commit = made;
                    return made;
                };
        this.cacheMaker = cacheMaker == null ? WriteCache::new : cacheMaker;
        this.info = info(blockCount, laneCount);
        this.tableMedium = newTable();
        this.cacheMedium = cacheMaker == null ? null : newCache();
        this.current = new long[blockCount];
        this.pastValues = new long[blockCount];
        for (int i = 0; i < blockCount; i++) {
            possible.add(new ArrayList<>(List.of(ZERO)));
        }
        this.medium = mediumMaker.make(kind, BASE + Geometry.MIN_ARENA_SIZE, this);
        format();
        this.table = open(medium, tableMedium, cacheMedium, this.maker, this.cacheMaker);
    }

    /** What makes a cache; crash tests make broken ones. */
    interface CacheMaker {
        WriteCache make(Medium medium, long base, int slotCount, int blockSize, boolean readOnly)
                throws IOException;
    }

    interface MediumMaker {
        CrashMedium make(Medium.Kind kind, long size, CrashModel model);
    }

    private static CrashMedium newTable() {
        return new CrashMedium(Medium.Kind.TMPFS, HeldTable.size(LINES));
    }

    private CrashMedium newCache() {
        return new CrashMedium(Medium.Kind.TMPFS, WriteCache.size(SLOTS, blockSize()));
    }

    private int blockSize() {
        return 2 * unit;
    }

    private InfoBlock info(int blockCount, int laneCount) {
        int internal = blockCount + laneCount;
        long mapOffset = 4096 + roundUp((long) internal * blockSize());
        long flogOffset = mapOffset + 4096;
        return new InfoBlock(
                new UUID(3, 4),
                PARENT,
                false,
                blockSize(),
                blockCount,
                blockSize(),
                internal,
                laneCount,
                0,
                4096,
                mapOffset,
                flogOffset,
                Geometry.MIN_ARENA_SIZE - InfoBlock.SIZE);
    }

    private static long roundUp(long value) {
        return (value + 4095) / 4096 * 4096;
    }

    private void format() throws IOException {
        MemorySegment block = MemorySegment.ofArray(new long[(int) InfoBlock.SIZE / 8]);
        info.write(block);
        medium.write(BASE, block);
        medium.write(BASE + info.infoOffset(), block);
        MemorySegment flog = MemorySegment.ofArray(new long[info.nfree() * 8]);
        Flog.format(flog, info);
        medium.write(flogOffset(), flog);
        medium.sync();
    }

    long mapOffset() {
        return BASE + info.mapOffset();
    }

    long flogOffset() {
        return BASE + info.flogOffset();
    }

    private CachedTable open(
            CrashMedium medium,
            @Nullable CrashMedium tableMedium,
            @Nullable CrashMedium cacheMedium,
            BlockTranslationTable.GroupCommitMaker maker,
            CacheMaker cacheMaker)
            throws IOException {
        BttSite site = new BttSite(medium, BASE, PARENT, blockSize());
        HeldTable held = tableMedium == null ? null : new HeldTable(tableMedium, 0);
        return new CachedTable(
                BlockTranslationTable.open(site, true, false, held, maker),
                cacheMedium == null
                        ? null
                        : cacheMaker.make(cacheMedium, 0, SLOTS, blockSize(), false));
    }

    // What a client does. Each returns once the server would have replied.

    void write(int block) {
        long stamp = ++lastStamp;
        change(block, stamp << 32 | stamp, () -> table.write(block, units(block, stamp, 2)));
    }

    /** Writes a block without a lane, if it may be filled where it is. */
    void fill(int block) {
        long stamp = ++lastStamp;
        boolean[] filled = new boolean[1];
        change(
                block,
                stamp << 32 | stamp,
                () -> filled[0] = table.table().fill(block, units(block, stamp, 2)) > 0,
                () -> filled[0]);
    }

    /** Writes one of a block's two halves. */
    void edit(int block, int half) {
        if (current[block] == ERROR) {
            return;
        }
        long stamp = ++lastStamp;
        long kept = current[block] & (half == 0 ? 0xffff_ffffL : 0xffff_ffffL << 32);
        long value = kept | (half == 0 ? stamp << 32 : stamp);
        int offset = half * unit;
        change(block, value, () -> table.edit(block, offset, units(block, stamp, 1)));
    }

    void zero(int block) {
        change(block, ZERO, () -> table.zero(block, 1));
    }

    void setError(int block) {
        change(block, ERROR, () -> table.setError(block));
    }

    void flush() {
        flush(IntStream.range(0, blockCount).toArray());
    }

    void writeWithFua(int block) {
        writeThrough(block);
        long[] past = pastOnceFlushed();
        run(table.table()::flush);
        forget(block, past[block]);
    }

    /** Writes a block past the cache. */
    void writeThrough(int block) {
        long stamp = ++lastStamp;
        MemorySegment bytes = units(block, stamp, 2);
        change(block, stamp << 32 | stamp, () -> table.writeThrough(block, bytes));
    }

    /** Brings what the cache has to the table. */
    void writeBack() {
        run(table::writeBack);
    }

    /** Blocks come back beside their neighbours. */
    void defragment() {
        run(() -> table.table().defragment(() -> true));
    }

    /** The timer flushes, or finds that it need not. */
    void flushIfDue() {
        run(() -> table.flushIfDue(0));
    }

    /** Flushes; these blocks have then lost the values that they had before their present ones. */
    private void flush(int... blocks) {
        long[] past = pastOnceFlushed();
        run(table::flush);
        for (int block : blocks) {
            forget(block, past[block]);
        }
    }

    /** A client asks for a flush, and one step is done for it; another one began before maybe. */
    void beginFlush() {
        long[] past = pastOnceFlushed();
        run(
                () -> {
                    table.writeBack();
                    SharedCommit.Progress progress = Objects.requireNonNull(commit).step(true);
                    forget(pastOnceComplete);
                    pastOnceComplete = progress == SharedCommit.Progress.PUT_OFF ? null : past;
                    if (progress == SharedCommit.Progress.COMPLETE) {
                        forget(past);
                    }
                });
    }

    private long[] pastOnceFlushed() {
        long[] past = pastValues.clone();
        for (int block = 0; block < blockCount; block++) {
            past[block] += possible.get(block).lastIndexOf(current[block]);
        }
        return past;
    }

    private void forget(long @Nullable [] past) {
        for (int block = 0; past != null && block < blockCount; block++) {
            forget(block, past[block]);
        }
    }

    private void forget(int block, long past) {
        long more = past - pastValues[block];
        if (more > 0) {
            possible.get(block).subList(0, (int) more).clear();
            pastValues[block] = past;
        }
    }

    /** The machine loses power, and comes back with this image of the medium. */
    void losePower(CrashMedium image) {
        medium = image;
        tableMedium = newTable();
        cacheMedium = hasCache() ? newCache() : null;
        lostPower = true;
    }

    /** A kill that happened, rather than one that might have. */
    void countKill() {
        counts.kills.increment();
    }

    /** A process that recovered from a crash was killed. */
    void countDoubleCrash() {
        counts.doubleCrashes.increment();
    }

    /** The process was killed, maybe in the middle of a change, and another one opens the pool. */
    void restart() {
        opening = true;
        try {
            run(() -> table = open(medium, tableMedium, cacheMedium, maker, cacheMaker));
        } finally {
            opening = false;
        }
        if (!lostPower) {
            verifyRunning();
        }
        for (int block = 0; block < blockCount; block++) {
            long value = valueOf(table, block);
            if (lostPower) {
                requirePossible(block, value);
                possible.get(block).clear();
            }
            possible.get(block).add(value);
            current[block] = value;
        }
        changing = -1;
        lostPower = false;
        pastOnceComplete = null;
    }

    /** Whether a process is opening the pool, for media that behave oddly then. */
    boolean isOpening() {
        return opening;
    }

    /** Whether a block's change waits for a commit, so that its next one may have to. */
    boolean isHeld(int block) {
        return heldInLanes().contains(block) || filled().contains(block);
    }

    private List<Integer> filled() {
        try {
            return new HeldTable(tableMedium, 0)
                    .filled(List.of()).stream().map(HeldTable.Filled::premapLba).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private List<Integer> heldInLanes() {
        HeldTable held = new HeldTable(tableMedium, 0);
        try {
            List<Integer> blocks = new ArrayList<>();
            for (int lane = 0; lane < info.nfree(); lane++) {
                HeldTable.Entry entry = held.get(lane);
                if (entry != null) {
                    blocks.add(entry.premapLba());
                }
            }
            return blocks;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    boolean hasCache() {
        return cacheMedium != null;
    }

    /** Whether the next write of a block goes to the cache. */
    boolean cacheHasRoom() {
        CrashMedium cache = cacheMedium;
        try {
            return cache != null && WriteCache.countLeft(cache, 0, SLOTS, blockSize()) < SLOTS;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether writes are held, so that others may come while they are committed. */
    boolean commitsInGroups() {
        return kind == Medium.Kind.FILE;
    }

    boolean isInError(int block) {
        return current[block] == ERROR;
    }

    boolean isChanging(int block) {
        return block == changing;
    }

    boolean hasIdleLane() {
        return heldInLanes().size() < info.nfree();
    }

    private void change(int block, long value, Step step) {
        change(block, value, step, () -> true);
    }

    private void change(int block, long value, Step step, BooleanSupplier changed) {
        int outer = changing;
        long outerTo = changingTo;
        changing = block;
        changingTo = value;
        possible.get(block).add(value);
        uncertain.add(block);
        run(step);
        uncertain.remove(block);
        List<Long> values = possible.get(block);
        if (!changed.getAsBoolean()) {
            values.remove(value);
        } else {
            current[block] = value;
            if (kind != Medium.Kind.FILE) {
                // Durable once it is replied.
                values.subList(0, values.size() - 1).clear();
            }
        }
        changing = outer;
        changingTo = outerTo;
    }

    interface Step {
        void run() throws IOException;
    }

    private static void run(Step step) {
        try {
            step.run();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The pool was opened again after failures, some of which the medium may have kept quiet. */
    void reopenAfterFailure(CrashMedium image, boolean syncFailed) {
        medium = image;
        opening = true;
        run(
                () ->
                        table =
                                open(
                                        medium,
                                        tableMedium,
                                        cacheMedium,
                                        GroupCommit::new,
                                        WriteCache::new));
        opening = false;
        for (int round = 0; round < 2; round++) {
            for (int block = 0; block < blockCount; block++) {
                long value = valueOf(table, block);
                requirePossible(block, value);
                if (!syncFailed && !uncertain.contains(block) && value != current[block]) {
                    throw new Violation(
                            "block %d is %s, replied was %s"
                                    .formatted(block, show(value), show(current[block])));
                }
            }
            requireOwners(medium.afterKill());
            medium.evict();
        }
    }

    /** Blocks can be read, and those that no failure touched have what clients were told of. */
    void verifyReadable() {
        for (int block = 0; block < blockCount; block++) {
            long value = valueOf(table, block);
            if (!uncertain.contains(block) && value != current[block]) {
                throw new Violation(
                        "block %d reads %s, expected %s"
                                .formatted(block, show(value), show(current[block])));
            }
        }
    }

    // What must hold.

    /** The running process gives each block the value that clients were told of. */
    void verifyRunning() {
        for (int block = 0; block < blockCount; block++) {
            long value = valueOf(table, block);
            boolean changed = block == changing && value == changingTo;
            if (value != current[block] && !changed) {
                throw new Violation(
                        "block %d reads %s, expected %s"
                                .formatted(block, show(value), show(current[block])));
            }
        }
    }

    /**
     * Every image that a power cut could leave now, or {@code limit} of them, recovers, and does so
     * wherever the recovery is interrupted by another power cut.
     */
    void verifyPowerCuts(int newestUnit, int limit, SplittableRandom random) {
        forEachImage(
                medium,
                newestUnit,
                limit,
                random,
                image -> {
                    counts.powerCuts.increment();
                    image.listen(unit -> verifyPowerCutsAgain(image, unit, limit, random));
                    requireRecovers(image);
                });
    }

    /** One of the images that a power cut could leave now recovers. */
    void verifyPowerCut(int newestUnit, SplittableRandom random) {
        counts.powerCuts.increment();
        requireRecovers(medium.image(newestUnit, random.nextLong(medium.imageCount(newestUnit))));
    }

    /** What {@link #verifyPowerCuts} says of a medium that another process recovers. */
    private void verifyPowerCutsAgain(
            CrashMedium recovering, int newestUnit, int limit, SplittableRandom random) {
        forEachImage(
                recovering,
                newestUnit,
                limit,
                random,
                image -> {
                    counts.doubleCrashes.increment();
                    requireRecovers(image);
                });
    }

    private void forEachImage(
            CrashMedium crashed,
            int newestUnit,
            int limit,
            SplittableRandom random,
            Consumer<CrashMedium> action) {
        long count = crashed.imageCount(newestUnit);
        if (count > limit) {
            counts.samples.increment();
        }
        for (long i = 0; i < Math.min(count, limit); i++) {
            long number = count <= limit ? i : random.nextLong(count);
            action.accept(crashed.image(newestUnit, number));
        }
    }

    private void requireRecovers(CrashMedium image) {
        CachedTable recovered = reopened(image, null, null);
        for (int block = 0; block < blockCount; block++) {
            requirePossible(block, valueOf(recovered, block));
        }
        requireOwners(image);
    }

    /**
     * A kill now loses nothing that was replied, wherever the next process is interrupted by
     * another kill or by a power cut while it takes over.
     */
    void verifyKill(int limit, SplittableRandom random) {
        counts.kills.increment();
        CrashMedium pages = medium.copy();
        CrashMedium slots = tableMedium.copy();
        CrashMedium cached = cacheMedium == null ? null : cacheMedium.copy();
        pages.listen(
                unit -> {
                    verifyKillAgain(pages, slots, cached);
                    verifyPowerCutsAgain(pages, unit, limit, random);
                });
        slots.listen(unit -> verifyKillAgain(pages, slots, cached));
        if (cached != null) {
            cached.listen(unit -> verifyKillAgain(pages, slots, cached));
        }
        requireTakesOver(pages, slots, cached);
    }

    private void verifyKillAgain(
            CrashMedium pages, CrashMedium slots, @Nullable CrashMedium cached) {
        counts.doubleCrashes.increment();
        requireTakesOver(
                pages.afterKill(), slots.afterKill(), cached == null ? null : cached.afterKill());
    }

    private void requireTakesOver(
            CrashMedium pages, CrashMedium slots, @Nullable CrashMedium cached) {
        CachedTable restarted = reopened(pages, slots, cached);
        long[] values = new long[blockCount];
        for (int block = 0; block < blockCount; block++) {
            long value = valueOf(restarted, block);
            values[block] = value;
            boolean changed = block == changing && value == changingTo;
            if (value != current[block] && !changed) {
                throw new Violation(
                        "after a kill block %d is %s, replied was %s"
                                .formatted(block, show(value), show(current[block])));
            }
        }
        requireOwners(pages);
        if (cached == null) {
            return;
        }
        run(restarted::flush);
        for (int block = 0; block < blockCount; block++) {
            long value = valueOf(restarted, block);
            if (value != values[block]) {
                throw new Violation(
                        "block %d was %s after a kill, and is %s when that is flushed"
                                .formatted(block, show(values[block]), show(value)));
            }
        }
        requireOwners(pages);
    }

    private CachedTable reopened(
            CrashMedium pages,
            @Nullable CrashMedium tableMedium,
            @Nullable CrashMedium cacheMedium) {
        try {
            return open(pages, tableMedium, cacheMedium, GroupCommit::new, WriteCache::new);
        } catch (IOException e) {
            throw new Violation("does not open: " + e.getMessage());
        }
    }

    private void requirePossible(int block, long value) {
        if (!possible.get(block).contains(value)) {
            throw new Violation(
                    "after a power cut block %d is %s, possible are %s"
                            .formatted(
                                    block,
                                    show(value),
                                    possible.get(block).stream().map(CrashModel::show).toList()));
        }
    }

    private void requireOwners(CrashMedium pages) {
        try {
            List<String> damage = BttCheck.run(new BttSite(pages, BASE, PARENT, blockSize()));
            if (!damage.isEmpty()) {
                throw new Violation("check says " + damage);
            }
        } catch (IOException e) {
            throw new Violation("check fails: " + e.getMessage());
        }
    }

    private long valueOf(CachedTable table, int block) {
        long[] bytes = new long[blockSize() / Long.BYTES];
        try {
            table.read(block, 0, MemorySegment.ofArray(bytes));
        } catch (ErrorBlockException e) {
            return ERROR;
        } catch (IOException e) {
            throw new Violation("block %d cannot be read: %s".formatted(block, e.getMessage()));
        }
        int half = bytes.length / 2;
        for (int i = 0; i < bytes.length; i++) {
            long expected = bytes[i < half ? 0 : half];
            boolean own = bytes[i] == 0 || bytes[i] >>> 32 == block + 1;
            if (bytes[i] != expected || !own) {
                return FOREIGN;
            }
        }
        return bytes[0] << 32 | (bytes[half] & 0xffff_ffffL);
    }

    private MemorySegment units(int block, long stamp, int count) {
        long[] words = new long[count * unit / Long.BYTES];
        Arrays.fill(words, (long) (block + 1) << 32 | stamp);
        return MemorySegment.ofArray(words);
    }

    private static String show(long value) {
        if (value == FOREIGN) {
            return "foreign";
        }
        return value == ERROR ? "error" : (value >>> 32) + "/" + (value & 0xffff_ffffL);
    }
}
