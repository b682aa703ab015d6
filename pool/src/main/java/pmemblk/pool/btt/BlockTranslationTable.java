package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The arenas of a pool in a row, and the lanes that writers of all of them share.
 *
 * <p>Blocks are numbered as external LBAs, from 0 to below {@link #blockCount}; numbers, offsets
 * and lengths are the caller's to check. Thread-safe. Segments are read or filled during the call
 * and not kept.
 */
public final class BlockTranslationTable {
    private final BttArena[] arenas;

    /** The external LBA of each arena's first block. */
    private final long[] firstLbas;

    private final long blockCount;
    private final int blockSize;
    private final int laneCount;
    private final Lanes lanes;

    private BlockTranslationTable(
            List<BttArena> arenas, long blockCount, int blockSize, int laneCount) {
        this.arenas = arenas.toArray(BttArena[]::new);
        this.firstLbas = new long[arenas.size()];
        long first = 0;
        for (int i = 0; i < firstLbas.length; i++) {
            firstLbas[i] = first;
            first += this.arenas[i].blockCount();
        }
        this.blockCount = blockCount;
        this.blockSize = blockSize;
        this.laneCount = laneCount;
        this.lanes = new Lanes(laneCount);
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
     * @throws CorruptBttException if what lies there is not sound
     */
    public static BlockTranslationTable open(BttSite site, boolean zeroed, boolean readOnly)
            throws IOException {
        List<InfoBlock> infos = InfoBlocks.read(site, !readOnly);
        if (infos.isEmpty() && !readOnly) {
            infos = Layout.write(site, zeroed);
        }
        int laneCount =
                infos.stream().mapToInt(InfoBlock::nfree).reduce(InfoBlock.NFREE, Math::min);
        List<BttArena> arenas = new ArrayList<>();
        long base = site.base();
        for (InfoBlock info : infos) {
            String name = "arena " + arenas.size();
            arenas.add(new BttArena(site.medium(), name, base, info, laneCount));
            base += info.nextOffset();
        }
        long blockCount =
                infos.isEmpty()
                        ? Geometry.blockCount(site.rawSize(), site.blockSize())
                        : infos.stream().mapToLong(InfoBlock::externalNlba).sum();
        return new BlockTranslationTable(arenas, blockCount, site.blockSize(), laneCount);
    }

    public long blockCount() {
        return blockCount;
    }

    public int arenaCount() {
        return arenas.length;
    }

    /** How many blocks can be written at the same time. */
    public int laneCount() {
        return laneCount;
    }

    /** Why some arena refuses changes, or null if none does. */
    public @Nullable String failureReason() {
        for (BttArena arena : arenas) {
            String reason = arena.failureReason();
            if (reason != null) {
                return reason;
            }
        }
        return null;
    }

    /**
     * Fills {@code target} with the bytes of one block from {@code offset} on.
     *
     * @throws ErrorBlockException if the block is in the error state
     */
    public void read(long lba, int offset, MemorySegment target) throws IOException {
        if (arenas.length == 0) {
            target.fill((byte) 0);
            return;
        }
        int arena = arenaOf(lba);
        if (!arenas[arena].read(premapLba(arena, lba), offset, target)) {
            throw new ErrorBlockException(lba);
        }
    }

    /** Replaces a block with {@code source}, a whole one. */
    public void write(long lba, MemorySegment source) throws IOException {
        int arena = arenaOf(lba);
        int lane = lanes.take();
        try {
            arenas[arena].write(lane, premapLba(arena, lba), source);
        } finally {
            lanes.give(lane);
        }
    }

    /**
     * Replaces the bytes of one block from {@code offset} on.
     *
     * @throws ErrorBlockException if the block is in the error state, and so has no other bytes
     */
    public void edit(long lba, int offset, MemorySegment source) throws IOException {
        int arena = arenaOf(lba);
        int lane = lanes.take();
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment scratch = memory.allocate(blockSize);
            if (!arenas[arena].edit(lane, premapLba(arena, lba), offset, source, scratch)) {
                throw new ErrorBlockException(lba);
            }
        } finally {
            lanes.give(lane);
        }
    }

    /** Whether a block reads as zeroes because it was zeroed or never written. */
    public boolean readsAsZeroes(long lba) throws IOException {
        int arena = arenaOf(lba);
        return arenas[arena].readsAsZeroes(premapLba(arena, lba));
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
