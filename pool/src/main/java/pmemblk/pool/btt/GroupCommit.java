package pmemblk.pool.btt;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.Lock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;

/**
 * The write path of ordinary files: many writes, two syncs.
 *
 * <p>A write fills its lane's free block and is held there: readers find it, the medium's flog and
 * map do not name it. A commit makes all held writes durable together, in two steps:
 *
 * <ol>
 *   <li>freeze the batch: writes that come later take other lanes, even those of the same blocks;
 *       and sync: the data of the batch, and every map entry stored before;
 *   <li>log all its swaps; sync: from here on recovery finishes them.
 * </ol>
 *
 * <p>While callers keep coming, the sync of the second step is that of the next commit's first,
 * too. The map entries are stored, and the lanes let go, when many lanes are held so, or when the
 * block changes again: many entries then share a page, and a sync. An entry becomes durable with
 * the first sync that follows it, and that is before its lane's slot is written again, or a swap of
 * the same block is logged. Nothing is stored before all that it depends on is durable, since the
 * kernel may write back any page at any time.
 *
 * <p>Blocks that read as zeroes need no lane: while their entries say so, nobody can see what the
 * blocks hold that they own, so these are filled where they are, and a block that was written for
 * the first time lies beside its neighbours. They are frozen and synced with the batch; in the
 * second step their entries are stored instead of logged, and are durable with its sync. A crash
 * before that leaves zeroes.
 *
 * <p>A {@link HeldTable}, if there is one, lets the held writes outlive the process. After a failed
 * sync nothing is tried again: what the kernel dropped it would report as written.
 */
class GroupCommit implements WritePath {
    private static final Logger LOG = LoggerFactory.getLogger(GroupCommit.class);

    private static final Comparator<HeldWrite> BY_ENTRY =
            Comparator.<HeldWrite>comparingInt(write -> write.arena().index())
                    .thenComparingInt(HeldWrite::premapLba);

    private final Medium medium;
    private final Lanes lanes;
    private final @Nullable HeldTable table;

    /** The held writes by lane; an element changes under the lock of the write's map entry. */
    private final AtomicReferenceArray<@Nullable HeldWrite> writes;

    private final AtomicLong lastSeq;

    /** How many writes were let go because a later one of their block took their place. */
    private final AtomicLong replacedCount = new AtomicLong();

    private final Filling filling;

    /** What the next step completes; of one step at a time. */
    private Batch prepared = Batch.EMPTY;

    /** The writes that are logged, the oldest first, and some that have been published since. */
    private final Queue<HeldWrite> logged = new ConcurrentLinkedQueue<>();

    /** So many logged writes are left unpublished, at most; the other lanes are for new writes. */
    private final int maxLogged;

    private final SharedCommit sharedCommit = new SharedCommit(this::step, newDeputy());

    private final AtomicBoolean persistStarting = new AtomicBoolean();

    /** How often entries were stored that no flog entry stands for. */
    private final AtomicLong entriesStored = new AtomicLong();

    /** How many of those are durable. */
    private volatile long entriesDurable;

    /** How often entries of logged writes were stored. */
    private final AtomicLong publications = new AtomicLong();

    /** How many of those are durable, at least. */
    private volatile long publicationsDurable;

    /** When the last commit began, by {@link System#nanoTime}. */
    private volatile long lastCommitNanos = System.nanoTime();

    /** Why a commit has failed; set once, by that. */
    private volatile @Nullable Throwable failure;

    /** What one commit makes durable: the data are, when it is completed. */
    private record Batch(List<HeldWrite> writes, List<Filling.Frozen> filled) {
        static final Batch EMPTY = new Batch(List.of(), List.of());

        boolean isEmpty() {
            return writes.isEmpty() && filled.isEmpty();
        }
    }

    GroupCommit(Medium medium, int laneCount, Lanes lanes, @Nullable HeldTable table) {
        this.medium = medium;
        this.lanes = lanes;
        this.table = table;
        this.maxLogged = laneCount * 7 / 8;
        this.writes = new AtomicReferenceArray<>(laneCount);
        this.lastSeq = new AtomicLong();
        this.filling = new Filling(table, this::areZeroesDurable);
    }

    /** A thread that is there while it has something to do. */
    private static Executor newDeputy() {
        ThreadPoolExecutor deputy =
                new ThreadPoolExecutor(
                        1,
                        1,
                        10,
                        TimeUnit.SECONDS,
                        new LinkedBlockingQueue<>(),
                        Thread.ofPlatform().daemon().name("pmemblk-deputy").factory());
        deputy.allowCoreThreadTimeOut(true);
        return deputy;
    }

    @Override
    public void requireSound() throws CommitFailedException {
        Throwable cause = failure();
        if (cause != null) {
            throw new CommitFailedException(cause);
        }
    }

    /** Why nothing can be made durable any more, or null if it can. */
    private @Nullable Throwable failure() {
        Throwable cause = failure;
        return cause == null ? medium.writeFailure() : cause;
    }

    @Override
    public @Nullable String failureReason() {
        Throwable cause = failure();
        return cause == null ? null : new CommitFailedException(cause).getMessage();
    }

    @Override
    public int takeLane() throws IOException {
        int lane = tryTakeLane();
        while (lane < 0) {
            flush();
            lane = tryTakeLane();
        }
        return lane;
    }

    @Override
    public int tryTakeLane() throws IOException {
        int lane = lanes.tryTake();
        while (lane < 0 && publishLogged()) {
            lane = lanes.tryTake();
        }
        return lane;
    }

    @Override
    public void giveLane(int lane) {
        lanes.give(lane);
    }

    @Override
    public void dataWritten(long offset, long length) {}

    @Override
    public boolean swap(BttArena arena, int lane, int premapLba, int oldEntry, int postmapLba)
            throws IOException {
        requireSound();
        HeldWrite earlier = arena.map().held().get(premapLba);
        FilledLine filled = arena.map().filled().with(premapLba);
        FilledLine amid = filled != null && filled.isCommitting(premapLba) ? filled : null;
        // The entry of a filled block that a commit has begun with is stored before this is logged.
        int replacedEntry = amid == null ? oldEntry : amid.entry(premapLba);
        HeldWrite write = new HeldWrite(arena, premapLba, lane, replacedEntry, postmapLba, earlier);
        if (table != null) {
            table.put(lane, lastSeq.incrementAndGet(), arena.index(), premapLba, postmapLba);
        }
        arena.map().held().put(write);
        writes.set(lane, write);
        if (earlier != null && !earlier.isAmid()) {
            replacedCount.incrementAndGet();
            replaced(earlier);
        }
        if (filled != null && amid == null) {
            replacedCount.incrementAndGet();
            filling.forget(arena, premapLba);
        }
        return false;
    }

    @Override
    public Filling filling() {
        return filling;
    }

    /**
     * Whether all blocks that were zeroed are so on the device. (Overridden where a crash test
     * shows what follows if they are not.)
     */
    boolean areZeroesDurable() {
        return entriesStored.get() == entriesDurable;
    }

    /**
     * Lets go of a write that a later one of its block replaced: logged both, recovery would leak a
     * block. (Overridden where a crash test shows that.)
     */
    void replaced(HeldWrite earlier) throws IOException {
        release(earlier);
    }

    /** Takes over a write that the table had at the last kill; before the arena is in use. */
    void adopt(BttArena arena, HeldTable.Entry entry) throws IOException {
        lanes.take(entry.lane());
        int premapLba = entry.premapLba();
        int oldEntry = MapEntry.explicit(arena.map().stored(premapLba), premapLba);
        HeldWrite write =
                new HeldWrite(arena, premapLba, entry.lane(), oldEntry, entry.postmapLba(), null);
        arena.map().held().put(write);
        writes.set(entry.lane(), write);
        lastSeq.set(Math.max(lastSeq.get(), entry.seq()));
    }

    @Override
    public boolean mayStore(BttArena arena, int premapLba) throws IOException {
        if (arena.map().filled().isCommitting(premapLba)) {
            return false;
        }
        HeldWrite write = arena.map().held().get(premapLba);
        HeldWrite amid = write == null ? null : write.amid();
        if (amid != null && amid.isLogged()) {
            publishLocked(arena.map(), List.of(amid));
            return true;
        }
        return amid == null;
    }

    @Override
    public void stored(BttArena arena, int firstPremapLba, int count) throws IOException {
        entriesStored.incrementAndGet();
        requireSound();
        for (int lba = firstPremapLba; lba < firstPremapLba + count; lba++) {
            filling.forget(arena, lba);
            HeldWrite write = arena.map().held().get(lba);
            if (write != null) {
                arena.map().held().remove(write);
                release(write);
            }
        }
    }

    /** Lets go of a write, under the lock of its map entry. */
    private void release(HeldWrite write) throws IOException {
        if (table != null) {
            table.clear(write.lane());
        }
        writes.set(write.lane(), null);
        lanes.give(write.lane());
    }

    @Override
    public void flush() throws IOException {
        sharedCommit.await();
    }

    @Override
    public void prepareFlush() {
        // The device has more to do at a time, and the step that waits for the data has less.
        if (persistStarting.compareAndSet(false, true)) {
            medium.startPersist();
            persistStarting.set(false);
        }
    }

    @Override
    public CompletableFuture<Void> flushAsync(int callers) {
        if (sharedCommit.isUnderWay()) {
            prepareFlush();
        }
        return sharedCommit.begin(callers);
    }

    @Override
    public void releaseLanes() throws IOException {
        flush();
        publishLogged();
    }

    @Override
    public void checkpoint() throws IOException {
        flush();
        publishLogged();
        if (publications.get() != publicationsDurable) {
            entriesStored.incrementAndGet();
            flush();
        }
    }

    @Override
    public long flushIfDue(long periodNanos) throws IOException {
        long left = lastCommitNanos + periodNanos - System.nanoTime();
        if (left > 0) {
            return left;
        }
        flush();
        return periodNanos;
    }

    /** Completes the batch that the step before has prepared, and may prepare the next. */
    SharedCommit.Progress step(boolean begin) throws IOException {
        requireSound();
        try {
            boolean prepare = begin && mayPrepare();
            Batch batch = prepared;
            prepared = prepare ? freeze() : Batch.EMPTY;
            long stored = entriesStored.get();
            long published = publications.get();
            if (!batch.isEmpty() || !prepared.isEmpty() || stored != entriesDurable) {
                lastCommitNanos = System.nanoTime();
                requireUntouched(batch);
                log(batch.writes());
                Filling.store(batch.filled());
                sync();
                entriesDurable = stored;
                publicationsDurable = published;
                keepLogged(batch.writes());
                filling.letGo(batch.filled());
            }
            if (begin && !prepare) {
                return SharedCommit.Progress.PUT_OFF;
            }
            return prepared.isEmpty()
                    ? SharedCommit.Progress.COMPLETE
                    : SharedCommit.Progress.BEGUN;
        } catch (IOException e) {
            LOG.error("a commit failed, no changes are taken from now on: {}", e.getMessage());
            failure = e;
            throw new CommitFailedException(e);
        } catch (RuntimeException | Error e) {
            failure = e;
            throw e;
        }
    }

    /**
     * Whether the next batch may be prepared while the prepared one is logged: not if it has a
     * block of that one, whose map entry it would log before that is durable. (Overridden where a
     * crash test shows that.)
     */
    boolean mayPrepare() {
        boolean overtaken =
                prepared.writes().stream()
                        .anyMatch(
                                write ->
                                        write.arena().map().held().get(write.premapLba()) != write);
        for (int lane = 0; lane < writes.length() && !overtaken; lane++) {
            HeldWrite write = writes.get(lane);
            overtaken =
                    write != null && write.arena().map().filled().isCommitting(write.premapLba());
        }
        return !overtaken;
    }

    private Batch freeze() throws IOException {
        Batch batch = new Batch(new ArrayList<>(), new ArrayList<>());
        long replaced;
        do {
            replaced = replacedCount.get();
            freezeWrites(batch.writes());
            filling.freezeInto(batch.filled());
            // A write may have gone before it was looked at, and the one that took its place be
            // where was looked before.
        } while (replacedCount.get() != replaced);
        return batch;
    }

    private void freezeWrites(List<HeldWrite> batch) throws IOException {
        for (int lane = 0; lane < writes.length(); lane++) {
            HeldWrite write = writes.get(lane);
            if (write == null) {
                continue;
            }
            Lock lock = write.arena().map().lock(write.premapLba());
            lock.lock();
            try {
                // It may have been released since, by a later write of its block; or be that later
                // write itself, come after the earlier one was frozen: then it is the next batch's.
                if (writes.get(lane) == write && !write.isLogged() && mayLogNext(write)) {
                    write.reach(HeldWrite.Stage.COMMITTING);
                    batch.add(write);
                }
            } finally {
                lock.unlock();
            }
        }
    }

    /**
     * Sees to it that the entry on which a write's swap builds is durable with the next sync, under
     * the lock of the entry; false if it cannot be. (Overridden where a crash test shows that.)
     */
    boolean mayLogNext(HeldWrite write) throws IOException {
        return mayStore(write.arena(), write.premapLba());
    }

    /** Sees that what a batch builds on is what its arenas were left as. */
    private static void requireUntouched(Batch batch) throws IOException {
        Set<BttArena> arenas = new HashSet<>();
        batch.writes().forEach(write -> arenas.add(write.arena()));
        batch.filled().forEach(frozen -> arenas.add(frozen.line().arena()));
        for (BttArena arena : arenas) {
            arena.flog().requireUntouched();
        }
    }

    /** Logs swaps; the entries that they replace are durable since the first sync. */
    private void log(List<HeldWrite> batch) throws IOException {
        for (int from = 0; from < batch.size(); ) {
            int to = from + 1;
            while (to < batch.size() && follows(batch.get(to), batch.get(to - 1))) {
                to++;
            }
            batch.get(from).arena().flog().logUnsynced(batch.subList(from, to));
            from = to;
        }
    }

    /** Whether a write's lane is the next after another's, in the same arena. */
    private static boolean follows(HeldWrite write, HeldWrite other) {
        return write.arena() == other.arena() && write.lane() == other.lane() + 1;
    }

    private void keepLogged(List<HeldWrite> batch) throws IOException {
        for (HeldWrite write : batch) {
            Lock lock = write.arena().map().lock(write.premapLba());
            lock.lock();
            try {
                write.reach(HeldWrite.Stage.LOGGED);
            } finally {
                lock.unlock();
            }
            logged.add(write);
        }
        if (logged.size() > maxLogged) {
            publishLogged();
        }
    }

    /** Publishes what is logged; false if nothing was. */
    private boolean publishLogged() throws IOException {
        List<HeldWrite> all = new ArrayList<>(logged);
        all.sort(BY_ENTRY);
        for (int from = 0; from < all.size(); ) {
            int to = from + 1;
            while (to < all.size() && shareMapPage(all.get(from), all.get(to))) {
                to++;
            }
            publishAll(all.subList(from, to));
            from = to;
        }
        logged.removeAll(new HashSet<>(all));
        return !all.isEmpty();
    }

    private static boolean shareMapPage(HeldWrite write, HeldWrite other) {
        return write.arena() == other.arena()
                && write.premapLba() / BlockMap.PAGE == other.premapLba() / BlockMap.PAGE;
    }

    /** Publishes those that are logged of some writes whose entries lie in one page, in order. */
    private void publishAll(List<HeldWrite> writes) throws IOException {
        BlockMap map = writes.getFirst().arena().map();
        // In the order of the locks, which begins anew only where a page does.
        writes.forEach(write -> map.lock(write.premapLba()).lock());
        try {
            publishLocked(map, writes.stream().filter(HeldWrite::isLogged).toList());
        } finally {
            writes.forEach(write -> map.lock(write.premapLba()).unlock());
        }
    }

    /** Stores the map entries of logged writes, under their locks, and lets the lanes go. */
    private void publishLocked(BlockMap map, List<HeldWrite> writes) throws IOException {
        int[] blocks = new int[writes.size()];
        int[] entries = new int[writes.size()];
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = writes.get(i).premapLba();
            entries[i] = MapEntry.normal(writes.get(i).postmapLba());
        }
        map.setEach(blocks, entries);
        publications.incrementAndGet();
        for (HeldWrite write : writes) {
            map.held().remove(write);
            write.reach(HeldWrite.Stage.PUBLISHED);
            release(write);
        }
    }

    private void sync() throws IOException {
        try {
            medium.persist(0, medium.size());
        } catch (IOException e) {
            if (table != null) {
                // The kernel may have dropped the data of held writes: nobody must log them now.
                table.invalidate();
            }
            throw e;
        }
    }
}
