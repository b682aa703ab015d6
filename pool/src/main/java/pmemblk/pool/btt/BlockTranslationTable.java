package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;

/**
 * The arenas of a pool in a row, and the lanes that writers of all of them share.
 *
 * <p>Blocks are numbered as external LBAs, from 0 to below {@link #blockCount}; numbers, offsets
 * and lengths are the caller's to check. Thread-safe. Segments are read or filled during the call
 * and not kept.
 */
public final class BlockTranslationTable {
    private static final Logger LOG = LoggerFactory.getLogger(BlockTranslationTable.class);

    /**
     * So many blocks that read as zeroes are filled where they are, and so stay together. The swaps
     * of fewer are logged: many share a sector there, where map entries of blocks here and there
     * take one each.
     */
    private static final int MIN_FILLED = 8;

    private final BttArena[] arenas;

    /** The external LBA of each arena's first block. */
    private final long[] firstLbas;

    private final long blockCount;
    private final int blockSize;
    private final Lanes lanes;
    private final WritePath path;

    private BlockTranslationTable(
            List<BttArena> arenas, long blockCount, int blockSize, Lanes lanes, WritePath path) {
        this.arenas = arenas.toArray(BttArena[]::new);
        this.firstLbas = new long[arenas.size()];
        long first = 0;
        for (int i = 0; i < firstLbas.length; i++) {
            firstLbas[i] = first;
            first += this.arenas[i].blockCount();
        }
        this.blockCount = blockCount;
        this.blockSize = blockSize;
        this.lanes = lanes;
        this.path = path;
    }

    /**
     * Lays out a new, empty table.
     *
     * @param zeroed whether the bytes that are there are known to be zero
     */
    public static void format(BttSite site, boolean zeroed) throws IOException {
        Layout.write(site, zeroed);
    }

    /**
     * Opens the table and finishes writes that a crash interrupted. One that was never laid out is
     * laid out now, or reads as zeroes if it is read-only.
     *
     * @param site where the table lies
     * @param zeroed whether bytes that nobody wrote are known to be zero
     * @param held the writes that a killed process left behind, and where to leave those to come;
     *     null if there is no such place
     * @throws CorruptBttException if what lies there is not sound
     */
    public static BlockTranslationTable open(
            BttSite site, boolean zeroed, boolean readOnly, @Nullable HeldTable held)
            throws IOException {
        return open(site, zeroed, readOnly, held, GroupCommit::new);
    }

    /** What makes the write path of an ordinary file; crash tests make broken ones. */
    interface GroupCommitMaker {
        GroupCommit make(Medium medium, int laneCount, Lanes lanes, @Nullable HeldTable held);
    }

    static BlockTranslationTable open(
            BttSite site,
            boolean zeroed,
            boolean readOnly,
            @Nullable HeldTable held,
            GroupCommitMaker maker)
            throws IOException {
        Medium medium = site.medium();
        if (!readOnly) {
            // What a killed process wrote is seen, but not durable: recovery must not build on it.
            try {
                medium.persist(0, medium.size());
            } catch (IOException e) {
                if (held != null) {
                    held.invalidate();
                }
                throw e;
            }
        }
        List<InfoBlock> infos = InfoBlocks.read(site, !readOnly);
        if (infos.isEmpty() && !readOnly) {
            infos = Layout.write(site, zeroed);
        }
        int laneCount =
                infos.stream().mapToInt(InfoBlock::nfree).reduce(InfoBlock.NFREE, Math::min);
        Lanes lanes = new Lanes(laneCount);
        WritePath path =
                medium.kind() == Medium.Kind.FILE
                        ? maker.make(medium, laneCount, lanes, held)
                        : new InPlace(medium, lanes);
        List<BttArena> arenas = new ArrayList<>();
        long base = site.base();
        for (InfoBlock info : infos) {
            arenas.add(new BttArena(medium, arenas.size(), base, info, laneCount, path));
            base += info.nextOffset();
        }
        if (held != null) {
            replay(held, arenas, laneCount, readOnly ? null : path);
        }
        long blockCount =
                infos.isEmpty()
                        ? Geometry.blockCount(site.rawSize(), site.blockSize())
                        : infos.stream().mapToLong(InfoBlock::externalNlba).sum();
        return new BlockTranslationTable(arenas, blockCount, site.blockSize(), lanes, path);
    }

    /**
     * Takes over the writes that a killed process held: of each block the latest, unless its commit
     * had come as far as the map.
     *
     * @param path commits them; null only shows them, on a medium that keeps stores to itself
     */
    private static void replay(
            HeldTable table, List<BttArena> arenas, int laneCount, @Nullable WritePath path)
            throws IOException {
        if (table.isInvalid()) {
            LOG.warn(
                    "a sync failed under the last server of this pool: what it replied to after the"
                            + " last flush that succeeded is lost");
            if (path != null) {
                table.clearAll(laneCount);
            }
            return;
        }
        List<HeldTable.Entry> latest = table.latest(laneCount);
        if (path != null) {
            table.keepOnly(latest, laneCount);
        }
        for (HeldTable.Filled block : table.filled(latest)) {
            BttArena arena = HeldTable.arenaOf(block.arena(), block.premapLba(), arenas);
            BlockMap map = arena.map();
            // The data are durable since the sync before recovery.
            int entry = map.stored(block.premapLba());
            if (MapEntry.readsAsZeroes(entry)) {
                int owned = MapEntry.explicit(entry, block.premapLba());
                map.set(block.premapLba(), MapEntry.normal(MapEntry.postmapLba(owned)));
                if (path != null) {
                    path.stored(arena, block.premapLba(), 1);
                }
            }
        }
        for (HeldTable.Entry entry : latest) {
            BttArena arena = HeldTable.arenaOf(entry.arena(), entry.premapLba(), arenas);
            if (arena.map().stored(entry.premapLba()) == MapEntry.normal(entry.postmapLba())) {
                continue;
            }
            if (arena.flog().freeBlock(entry.lane()) != entry.postmapLba()) {
                throw new CorruptBttException(
                        "the flog of lane %d has free block %d, a held write lies in %d"
                                .formatted(
                                        entry.lane(),
                                        arena.flog().freeBlock(entry.lane()),
                                        entry.postmapLba()));
            }
            if (path instanceof GroupCommit commit) {
                commit.adopt(arena, entry);
            } else {
                arena.map().set(entry.premapLba(), MapEntry.normal(entry.postmapLba()));
            }
        }
        if (path != null) {
            path.checkpoint();
            table.clearAll(laneCount);
        }
    }

    public long blockCount() {
        return blockCount;
    }

    /** Bytes a block. */
    int blockSize() {
        return blockSize;
    }

    public int arenaCount() {
        return arenas.length;
    }

    /** How many blocks can be written at the same time. */
    public int laneCount() {
        return lanes.count();
    }

    /** Why some arena refuses changes, or null if none does. */
    public @Nullable String failureReason() {
        String reason = path.failureReason();
        for (int i = 0; i < arenas.length && reason == null; i++) {
            reason = arenas[i].failureReason();
        }
        return reason;
    }

    /**
     * Fills {@code target} with the bytes from {@code offset} of a block on, at least as far as the
     * block goes, and further if others follow it on the medium.
     *
     * @return how many bytes that are
     * @throws ErrorBlockException if the block is in the error state
     */
    public long read(long lba, int offset, MemorySegment target) throws IOException {
        if (arenas.length == 0) {
            target.fill((byte) 0);
            return target.byteSize();
        }
        int arena = arenaOf(lba);
        long count = arenas[arena].read(premapLba(arena, lba), offset, target);
        if (count == 0) {
            throw new ErrorBlockException(lba);
        }
        return count;
    }

    /**
     * Reads as {@link #read} does if that takes no waiting, and if the block is not in the error
     * state; else returns 0, and {@code target} may hold some of the bytes.
     */
    public long readNow(long lba, int offset, MemorySegment target) throws IOException {
        if (arenas.length == 0) {
            target.fill((byte) 0);
            return target.byteSize();
        }
        int arena = arenaOf(lba);
        return arenas[arena].readNow(premapLba(arena, lba), offset, target);
    }

    /** Says that blocks will soon be read; for a memory, whose words are all at hand. */
    public void touch(long lba, int count) throws IOException {
        for (long i = lba; arenas.length > 0 && i < lba + count; i++) {
            int arena = arenaOf(i);
            arenas[arena].touch(premapLba(arena, i));
        }
    }

    /**
     * Replaces a block, and maybe others that follow it, by the whole blocks in {@code source}.
     *
     * @return how many bytes of {@code source} were written, at least a block's
     */
    public long write(long lba, MemorySegment source) throws IOException {
        int arena = arenaOf(lba);
        int premapLba = premapLba(arena, lba);
        if (path.filling() != null
                && source.byteSize() >= (long) MIN_FILLED * blockSize
                && arenas[arena].readsAsZeroes(premapLba)) {
            long filled = arenas[arena].fill(premapLba, source);
            if (filled > 0) {
                return filled;
            }
        }
        arenas[arena].write(premapLba, source.asSlice(0, blockSize));
        return blockSize;
    }

    /** Writes as {@link #write} does, but only what can be filled where it is: maybe nothing. */
    long fill(long lba, MemorySegment source) throws IOException {
        int arena = arenaOf(lba);
        return arenas[arena].fill(premapLba(arena, lba), source);
    }

    /**
     * Replaces the bytes of one block from {@code offset} on.
     *
     * @throws ErrorBlockException if the block is in the error state, and so has no other bytes
     */
    public void edit(long lba, int offset, MemorySegment source) throws IOException {
        int arena = arenaOf(lba);
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment scratch = memory.allocate(blockSize);
            if (!arenas[arena].edit(premapLba(arena, lba), offset, source, scratch)) {
                throw new ErrorBlockException(lba);
            }
        }
    }

    /**
     * Sees that blocks can be replaced, as far as their map entries tell.
     *
     * @throws IOException if an entry cannot be read, or makes no sense
     */
    void requireReplaceable(long lba, long count) throws IOException {
        for (long i = lba; i < lba + count; i++) {
            int arena = arenaOf(i);
            arenas[arena].requireReplaceable(premapLba(arena, i));
        }
    }

    /** Whether a block reads as zeroes because it was zeroed or never written. */
    public boolean readsAsZeroes(long lba) throws IOException {
        int arena = arenaOf(lba);
        return arenas[arena].readsAsZeroes(premapLba(arena, lba));
    }

    /**
     * Tells the states of {@code count} blocks, at the cost of their map entries. A run that goes
     * on in the next arena is told in two.
     */
    public void scan(long lba, long count, RunVisitor visitor) throws IOException {
        if (arenas.length == 0) {
            visitor.run(false, true, count);
            return;
        }
        boolean more = true;
        for (long done = 0; more && done < count; ) {
            int arena = arenaOf(lba + done);
            int first = premapLba(arena, lba + done);
            int inArena = (int) Math.min(count - done, arenas[arena].blockCount() - first);
            more = arenas[arena].map().scan(first, inArena, visitor);
            done += inArena;
        }
    }

    /** Whether {@link #scan} can do without waiting for a device. */
    public boolean isMapAtHand(long lba, long count) {
        for (long i = lba; arenas.length > 0 && i < lba + count; i++) {
            int arena = arenaOf(i);
            if (!arenas[arena].map().isAtHand(premapLba(arena, i))) {
                return false;
            }
        }
        return true;
    }

    /** Makes {@code count} blocks read as zeroes, each atomically, without writing data. */
    public void zero(long lba, long count) throws IOException {
        for (long done = 0; done < count; ) {
            int arena = arenaOf(lba + done);
            int first = premapLba(arena, lba + done);
            int inArena = (int) Math.min(count - done, arenas[arena].blockCount() - first);
            arenas[arena].zero(first, inArena);
            done += inArena;
        }
    }

    /** Puts a block into the error state until it is written or zeroed. */
    public void setError(long lba) throws IOException {
        int arena = arenaOf(lba);
        arenas[arena].setError(premapLba(arena, lba));
    }

    /**
     * Brings blocks that were written back beside their neighbours, as far as they are at hand; for
     * one thread at a time.
     *
     * @param goesOn asked before each block is moved
     * @return false if it was told to stop before it was done
     */
    public boolean defragment(BooleanSupplier goesOn) throws IOException {
        boolean done = true;
        for (int i = 0; i < arenas.length && done; i++) {
            if (arenas[i].written().next(0) >= 0 && arenas[i].failureReason() == null) {
                try (Arena memory = Arena.ofConfined()) {
                    MemorySegment scratch = memory.allocate(blockSize);
                    done = new Defragmentation(arenas[i], lanes, path, goesOn, scratch).run();
                }
            }
        }
        return done;
    }

    /** Returns once every change that returned before is durable, as far as the medium goes. */
    public void flush() throws IOException {
        path.flush();
    }

    /** Begins with what a {@link #flush} that soon comes would have to do first. */
    public void prepareFlush() {
        path.prepareFlush();
    }

    /**
     * Does what {@link #flush} does, but waits only if nobody else is about to do it, who then
     * tells this caller. What depends on the outcome is to be brief.
     */
    public CompletableFuture<Void> flushAsync(int callers) {
        return path.flushAsync(callers);
    }

    /**
     * Flushes, and leaves nothing for recovery to finish; nobody else changes anything meanwhile.
     */
    public void checkpoint() throws IOException {
        path.checkpoint();
    }

    /**
     * Flushes unless that was done within the last period; returns in how many nanoseconds it may
     * be due again.
     */
    public long flushIfDue(long periodNanos) throws IOException {
        return path.flushIfDue(periodNanos);
    }

    private int arenaOf(long lba) {
        assert lba >= 0 && lba < blockCount : lba;
        int arena = arenas.length - 1;
        while (firstLbas[arena] > lba) {
            arena--;
        }
        return arena;
    }

    private int premapLba(int arena, long lba) {
        return (int) (lba - firstLbas[arena]);
    }
}
