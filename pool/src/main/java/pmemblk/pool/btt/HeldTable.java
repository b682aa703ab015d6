package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.Medium;

/**
 * The held writes where a killed process leaves them behind: a table in memory that outlives the
 * process but not the machine, as their data in the page cache does.
 *
 * <pre>
 * slot of lane k at slots offset + 32 k:
 *   0  seq       8 bytes; 0 in an empty slot; of two writes of a block the higher is the later one
 *   8  premap    4 bytes
 *  12  postmap   4 bytes: the block that holds the data
 *  16  arena     4 bytes
 * after the last slot:
 *   0  invalid   8 bytes; not 0 once a sync has failed, and the data with it
 * slot of a line k at slots offset + 8200 + 16 k, for blocks filled where they are:
 *   0  line      4 bytes: the number of a line of 16 map entries
 *   4  arena     4 bytes
 *   8  blocks    8 bytes: a bit for each filled block; 0 in an empty slot
 * </pre>
 *
 * <p>A slot is put into use by one store, of its seq or blocks, after all else, and emptied by one.
 * A lane's owner does either, under the lock of the write's map entry; of a line's slot, whoever
 * has the lock of the line. Where a block is filled and a lane holds a write of it, that one is the
 * later. There may be any number of slots for lines, and none in a table of an older version.
 */
public final class HeldTable {
    /** Slots for lines that are worth having: with fewer, writes wait for a commit more often. */
    public static final int MAX_LINES = 65536;

    private static final long SLOT_STRIDE = 32;
    private static final long PREMAP = 8;
    private static final long ARENA = 16;
    private static final long INVALID = InfoBlock.NFREE * SLOT_STRIDE;
    private static final long LINES = INVALID + Long.BYTES;
    private static final long LINE_STRIDE = 16;
    private static final long BLOCKS = 8;

    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Medium medium;
    private final long slotsOffset;

    /**
     * A table with a slot for each lane, and as many for lines as fit.
     *
     * @param medium ordered memory, such as tmpfs
     * @param slotsOffset where slot 0 lies on it, in bytes
     */
    public HeldTable(Medium medium, long slotsOffset) {
        this.medium = medium;
        this.slotsOffset = slotsOffset;
    }

    /** The bytes that a table takes with so many slots for lines. */
    public static long size(int lineCount) {
        return LINES + lineCount * LINE_STRIDE;
    }

    /** How many slots for lines there are. */
    int lineCount() {
        return (int) Math.max(0, (medium.size() - slotsOffset - LINES) / LINE_STRIDE);
    }

    /** A lane's slot that is not empty. */
    record Entry(int lane, long seq, int arena, int premapLba, int postmapLba) {}

    /** A block that was filled where it is, and that no lane holds a later write of. */
    record Filled(int arena, int premapLba) {}

    /** The arena of a held write, which has such a block. */
    static BttArena arenaOf(int arena, int premapLba, List<BttArena> arenas)
            throws CorruptBttException {
        if (arena < 0
                || arena >= arenas.size()
                || premapLba < 0
                || premapLba >= arenas.get(arena).blockCount()) {
            throw new CorruptBttException(
                    "a held write names block %d of arena %d, which there is not"
                            .formatted(premapLba, arena));
        }
        return arenas.get(arena);
    }

    void put(int lane, long seq, int arena, int premapLba, int postmapLba) throws IOException {
        long slot = slotsOffset + lane * SLOT_STRIDE;
        medium.storeLong(
                slot + PREMAP, Integer.toUnsignedLong(premapLba) | (long) postmapLba << 32);
        medium.storeLong(slot + ARENA, arena);
        medium.storeLong(slot, seq);
    }

    void clear(int lane) throws IOException {
        medium.storeLong(slotsOffset + lane * SLOT_STRIDE, 0);
    }

    /** What a lane's slot holds, or null if it is empty. */
    @Nullable Entry get(int lane) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment slot = memory.allocate(SLOT_STRIDE, Long.BYTES);
            medium.read(slotsOffset + lane * SLOT_STRIDE, slot);
            long seq = slot.get(ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
            return seq == 0
                    ? null
                    : new Entry(
                            lane,
                            seq,
                            slot.get(WORD, ARENA),
                            slot.get(WORD, PREMAP),
                            slot.get(WORD, PREMAP + 4));
        }
    }

    /** Says which blocks of a line are filled. */
    void putLine(FilledLine line) throws IOException {
        long slot = lineOffset(line.slot());
        medium.storeLong(
                slot, Integer.toUnsignedLong(line.number()) | (long) line.arena().index() << 32);
        medium.storeLong(slot + BLOCKS, line.filled());
    }

    private long lineOffset(int slot) {
        return slotsOffset + LINES + slot * LINE_STRIDE;
    }

    /**
     * The filled blocks.
     *
     * @param latest what {@link #latest} gives: writes in lanes, each later than a filling
     */
    List<Filled> filled(List<Entry> latest) throws IOException {
        Set<Filled> overtaken = new HashSet<>();
        latest.forEach(entry -> overtaken.add(new Filled(entry.arena, entry.premapLba)));
        List<Filled> filled = new ArrayList<>();
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment slots = memory.allocate(lineCount() * LINE_STRIDE, Long.BYTES);
            medium.read(lineOffset(0), slots);
            for (long slot = 0; slot < slots.byteSize(); slot += LINE_STRIDE) {
                int blocks = slots.get(WORD, slot + BLOCKS);
                for (int i = 0; i < BlockMap.LINE && blocks >> i != 0; i++) {
                    int premapLba = slots.get(WORD, slot) * BlockMap.LINE + i;
                    Filled block = new Filled(slots.get(WORD, slot + 4), premapLba);
                    if ((blocks >> i & 1) != 0 && !overtaken.contains(block)) {
                        filled.add(block);
                    }
                }
            }
        }
        return filled;
    }

    /** The latest entry of each block. */
    List<Entry> latest(int laneCount) throws IOException {
        Map<Long, Entry> latest = new HashMap<>();
        for (int lane = 0; lane < laneCount; lane++) {
            Entry entry = get(lane);
            if (entry != null) {
                long block = (long) entry.arena << 32 | entry.premapLba;
                latest.merge(block, entry, (a, b) -> a.seq > b.seq ? a : b);
            }
        }
        return List.copyOf(latest.values());
    }

    /**
     * Empties the slots of all other entries: an entry that a later one of its block superseded
     * must not come back once that one is committed and gone from here.
     */
    void keepOnly(List<Entry> entries, int laneCount) throws IOException {
        Set<Integer> kept = new HashSet<>();
        for (Entry entry : entries) {
            kept.add(entry.lane());
        }
        for (int lane = 0; lane < laneCount; lane++) {
            if (!kept.contains(lane)) {
                clear(lane);
            }
        }
    }

    /**
     * Declares that the data of held writes may be gone, as after a failed sync: the pages are
     * still there, but may never come to the device.
     */
    void invalidate() throws IOException {
        medium.storeLong(slotsOffset + INVALID, 1);
    }

    boolean isInvalid() throws IOException {
        return medium.load(slotsOffset + INVALID) != 0;
    }

    /** Empties all slots, and makes the table valid again after that. */
    void clearAll(int laneCount) throws IOException {
        for (int lane = 0; lane < laneCount; lane++) {
            clear(lane);
        }
        for (int slot = 0; slot < lineCount(); slot++) {
            medium.storeLong(lineOffset(slot) + BLOCKS, 0);
        }
        medium.storeLong(slotsOffset + INVALID, 0);
    }

    /** Whether no write is held whose data are there. */
    public boolean isEmpty() throws IOException {
        if (isInvalid()) {
            return true;
        }
        for (int lane = 0; lane < InfoBlock.NFREE; lane++) {
            if (get(lane) != null) {
                return false;
            }
        }
        return filled(List.of()).isEmpty();
    }
}
