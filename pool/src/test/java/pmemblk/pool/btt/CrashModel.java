package pmemblk.pool.btt;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
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

    /** Writes of so many blocks fill them where they are, if they may. */
    static final int MANY = 8;

    private static final long BASE = 8192;
    private static final UUID PARENT = new UUID(1, 2);

    /** Blocks that the cache has room for, where there is one: fewer than there are. */
    private static final int SLOTS = 2;

    final int blockCount;
    private final Medium.Kind kind;
    private final int unit;
    private final InfoBlock info;
    private final long mapOffset;
    private final long flogOffset;
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

    /** All values that each block ever had, or was to have. */
    private final List<Set<Long>> everHad = new ArrayList<>();

    /** The blocks that are being changed, and the values that they are to have. */
    private final Map<Integer, Long> changing = new HashMap<>();

    /** The changes that wait for a commit: what is to be done for each once it is complete. */
    private final Queue<Runnable> waiting = new ArrayDeque<>();

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

        /** Writes of which the table filled {@link #MANY} blocks at once, or more. */
        final LongAdder filledAtOnce = new LongAdder();

        /** Changes that came during a commit and had to wait for it. */
        final LongAdder waited = new LongAdder();

        @Override
        public String toString() {
            return "%d power cuts, %d kills, %d double crashes, %d times filled, %d waits"
                    .formatted(
                            powerCuts.sum(),
                            kills.sum(),
                            doubleCrashes.sum(),
                            filledAtOnce.sum(),
                            waited.sum());
        }
    }

    /** What a client may not find. */
    enum Fault {
        /** A block has bytes of two writes, or another block's. */
        TORN_OR_FOREIGN,
        /** After a power cut a block has a value that it had before one that was flushed. */
        LOST_AFTER_FLUSH,
        /** After a kill a block does not have the value that was replied. */
        LOST_AFTER_KILL,
        /** A process that goes on gives another value than was replied. */
        MISREAD,
        /** The pool or a block of it cannot be read, or a place has two owners, or none. */
        INCONSISTENT
    }

    /** A crash left something that no client may find. */
    static final class Violation extends AssertionError {
        private static final long serialVersionUID = 1;
        private final Fault fault;

        Violation(Fault fault, String message) {
            super(message);
            this.fault = fault;
        }

        Fault fault() {
            return fault;
        }
    }

    /**
     * Group commit for one thread: a change that comes during a commit and would wait for it does
     * not, but ends with a {@link MustWait}.
     */
    static final class Reentered extends GroupCommit {
        private boolean committing;

        Reentered(Medium medium, int laneCount, Lanes lanes, @Nullable HeldTable table) {
            super(medium, laneCount, lanes, table);
        }

        @Override
        SharedCommit.Progress step(boolean begin) throws IOException {
            committing = true;
            try {
                return super.step(begin);
            } finally {
                committing = false;
            }
        }

        @Override
        public void flush() throws IOException {
            if (committing) {
                throw new MustWait();
            }
            super.flush();
        }
    }

    private static final class MustWait extends RuntimeException {
        private static final long serialVersionUID = 1;

        MustWait() {
            super(null, null, false, false);
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
        this.mapOffset = BASE + info.mapOffset();
        this.flogOffset = BASE + info.flogOffset();
        this.tableMedium = newTable();
        this.cacheMedium = cacheMaker == null ? null : newCache();
        this.current = new long[blockCount];
        this.pastValues = new long[blockCount];
        for (int i = 0; i < blockCount; i++) {
            possible.add(new ArrayList<>(List.of(ZERO)));
            everHad.add(new HashSet<>(Set.of(ZERO)));
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

    /** Has room for more lines of map entries than there are. */
    private CrashMedium newTable() {
        return new CrashMedium(Medium.Kind.TMPFS, HeldTable.size(blockCount / BlockMap.LINE + 2));
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
        return mapOffset;
    }

    long flogOffset() {
        return flogOffset;
    }

    /** Where the blocks lie, from the first postmap block to behind the last. */
    long dataOffset() {
        return BASE + info.dataOffset();
    }

    /**
     * The size of a unit where each map entry, and each lane's pair of slots on a file, has one of
     * its own: as if the blocks' numbers were far apart, and the lanes', so that none shared a
     * sector. Every image that is possible if they do is possible so, too.
     */
    int apart(long offset) {
        if (offset >= mapOffset && offset < flogOffset) {
            return MapEntry.SIZE;
        }
        long inFlog = offset - flogOffset;
        boolean isPair = inFlog >= 0 && inFlog < info.nfree() * Flog.PAIR_STRIDE;
        return isPair ? (int) Math.min(unit, Flog.PAIR_STRIDE) : unit;
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
        write(block, 1);
    }

    /** Writes blocks in a row. */
    void write(int first, int count) {
        for (int done = 0; done < count; ) {
            done += writeSome(first + done, count - done, (lba, bytes) -> table.write(lba, bytes));
        }
    }

    /** Writes a block without a lane, if it may be filled where it is. */
    void fill(int block) {
        fill(block, 1);
    }

    /** Writes blocks in a row without a lane, up to one that may not be filled where it is. */
    void fill(int first, int count) {
        writeSome(first, count, (lba, bytes) -> table.table().fill(lba, bytes));
    }

    /** Writes blocks; returns how many bytes were written. */
    private interface Write {
        long write(long lba, MemorySegment source) throws IOException;
    }

    /** Writes as many blocks in a row as a write takes, up to so many; returns how many it took. */
    private int writeSome(int first, int count, Write write) {
        long[] values = new long[count];
        MemorySegment bytes = MemorySegment.ofArray(new byte[count * blockSize()]);
        for (int i = 0; i < count; i++) {
            long stamp = ++lastStamp;
            values[i] = stamp << 32 | stamp;
            bytes.asSlice((long) i * blockSize(), blockSize()).copyFrom(units(first + i, stamp, 2));
        }
        int written = change(first, values, () -> (int) (write.write(first, bytes) / blockSize()));
        if (written >= MANY) {
            counts.filledAtOnce.increment();
        }
        return written;
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
        zero(block, 1);
    }

    /** Zeroes blocks in a row. */
    void zero(int first, int count) {
        change(
                first,
                new long[count],
                () -> {
                    table.zero(first, count);
                    return count;
                });
    }

    void setError(int block) {
        change(block, ERROR, () -> table.setError(block));
    }

    void flush() {
        long[] past = pastOnceFlushed();
        run(table::flush);
        forget(past);
    }

    void writeWithFua(int block) {
        writeThrough(block);
        long[] past = pastOnceFlushed();
        run(table.table()::flush);
        forget(block, past[block]);
    }

    /** Writes a block past the cache. */
    void writeThrough(int block) {
        writeSome(block, 1, (lba, bytes) -> table.writeThrough(lba, bytes));
    }

    /** Brings what the cache has to the table. */
    void writeBack() {
        run(table::writeBack);
    }

    /** Blocks come back beside their neighbours. */
    void defragment() {
        run(() -> table.table().defragment(() -> true));
    }

    /** The timer flushes, as it is due. */
    void flushIfDue() {
        long[] past = pastOnceFlushed();
        run(() -> table.flushIfDue(0));
        forget(past);
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
        changing.clear();
        waiting.clear();
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
        return changing.containsKey(block);
    }

    boolean hasIdleLane() {
        return heldInLanes().size() < info.nfree();
    }

    private void change(int block, long value, Step step) {
        change(
                block,
                new long[] {value},
                () -> {
                    step.run();
                    return 1;
                });
    }

    /** Changes blocks in a row; returns how many it has changed, from the first on. */
    private interface Change {
        int run() throws IOException;
    }

    /**
     * Changes blocks in a row, or begins to, if it has to wait.
     *
     * @param values what they are to have, if it changes all of them
     */
    private int change(int first, long[] values, Change change) {
        for (int i = 0; i < values.length; i++) {
            changing.put(first + i, values[i]);
            possible.get(first + i).add(values[i]);
            everHad.get(first + i).add(values[i]);
            uncertain.add(first + i);
        }
        return goOn(first, values, change);
    }

    private int goOn(int first, long[] values, Change change) {
        int[] changed = new int[1];
        try {
            run(() -> changed[0] = change.run());
        } catch (MustWait e) {
            counts.waited.increment();
            waiting.add(() -> goOn(first, values, change));
            return 0;
        }
        for (int i = 0; i < values.length; i++) {
            int block = first + i;
            changing.remove(block);
            uncertain.remove(block);
            List<Long> list = possible.get(block);
            if (i >= changed[0]) {
                list.removeLast();
                continue;
            }
            current[block] = values[i];
            if (kind != Medium.Kind.FILE) {
                // Durable once it is replied.
                list.subList(0, list.size() - 1).clear();
            }
        }
        return changed[0];
    }

    /** The commit is complete that changes have waited for: they go on. */
    void goOn() {
        while (!waiting.isEmpty()) {
            waiting.remove().run();
        }
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
                    throw misread(block, value);
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
                throw misread(block, value);
            }
        }
    }

    // What must hold.

    /** The running process gives each block the value that clients were told of. */
    void verifyRunning() {
        for (int block = 0; block < blockCount; block++) {
            long value = valueOf(table, block);
            if (!isReplied(block, value)) {
                throw misread(block, value);
            }
        }
    }

    /** Whether a block has what was replied for it, or what it is being changed to. */
    private boolean isReplied(int block, long value) {
        return value == current[block] || Objects.equals(changing.get(block), value);
    }

    private Violation misread(int block, long value) {
        return violation(
                Fault.MISREAD,
                block,
                value,
                "block %d reads %s, replied was %s"
                        .formatted(block, show(value), show(current[block])));
    }

    /** What is wrong with a value that a block may not have. */
    private Violation violation(Fault fault, int block, long value, String message) {
        boolean isOwn = everHad.get(block).contains(value);
        return new Violation(isOwn ? fault : Fault.TORN_OR_FOREIGN, message);
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
            if (!isReplied(block, value)) {
                throw violation(
                        Fault.LOST_AFTER_KILL,
                        block,
                        value,
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
                throw violation(
                        Fault.LOST_AFTER_KILL,
                        block,
                        value,
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
            throw new Violation(Fault.INCONSISTENT, "does not open: " + e.getMessage());
        }
    }

    private void requirePossible(int block, long value) {
        if (!possible.get(block).contains(value)) {
            throw violation(
                    Fault.LOST_AFTER_FLUSH,
                    block,
                    value,
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
                throw new Violation(Fault.INCONSISTENT, "check says " + damage);
            }
        } catch (IOException e) {
            throw new Violation(Fault.INCONSISTENT, "check fails: " + e.getMessage());
        }
    }

    private long valueOf(CachedTable table, int block) {
        long[] bytes = new long[blockSize() / Long.BYTES];
        try {
            table.read(block, 0, MemorySegment.ofArray(bytes));
        } catch (ErrorBlockException e) {
            return ERROR;
        } catch (IOException e) {
            throw new Violation(
                    Fault.INCONSISTENT,
                    "block %d cannot be read: %s".formatted(block, e.getMessage()));
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
