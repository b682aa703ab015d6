package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.Medium;

/**
 * The flog of one arena: free list and log in one. For each lane a pair of slots, of which one is
 * current and the other is written next.
 *
 * <pre>
 * pair k at flog offset + 64 k:   slot 0 at +0, slot 1 at +16, the rest is padding
 * slot:  0  lba      premap block of the write
 *        4  old_map  the map entry before it, whose block is now the lane's free block
 *        8  new_map  the map entry after it
 *       12  seq      1, 2, 3, 1, …; 0 in a slot never used
 * </pre>
 *
 * <p>Only the owner of a lane touches its pair, here and on the medium.
 */
final class Flog {
    static final long PAIR_STRIDE = 64;

    private static final long SLOT_SIZE = 16;
    private static final long OLD_MAP = 4;
    private static final long NEW_MAP = 8;
    private static final long SEQ = 12;

    /** A lane's free block while its pair has no current slot, or one that makes no sense. */
    private static final int BROKEN = -2;

    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Medium medium;
    private final long offset;
    private final Lane[] lanes;

    /** The pairs as on the medium, kept up by {@link #logUnsynced}. */
    private final MemorySegment pairs;

    /** Where the pairs are read to, to see whether they are so still. */
    private final MemorySegment found;

    /** What a lane's owner knows of its pair. */
    private static final class Lane {
        private int freeBlock;
        private int currentSlot;
        private int seq;
    }

    /** One slot as read. */
    record Slot(int lba, int oldMap, int newMap, int seq) {
        boolean isSwap() {
            return oldMap != newMap;
        }

        private static Slot read(MemorySegment pair, int slot) {
            long base = slot * SLOT_SIZE;
            return new Slot(
                    pair.get(WORD, base),
                    pair.get(WORD, base + OLD_MAP),
                    pair.get(WORD, base + NEW_MAP),
                    pair.get(WORD, base + SEQ));
        }
    }

    /** A pair as read, with the index of its current slot, or -1 where neither is. */
    record Pair(Slot first, Slot second, int current) {
        @Nullable Slot currentSlot() {
            return current < 0 ? null : current == 0 ? first : second;
        }

        private static Pair read(MemorySegment bytes) {
            Slot first = Slot.read(bytes, 0);
            Slot second = Slot.read(bytes, 1);
            return new Pair(first, second, Flog.current(first.seq, second.seq));
        }
    }

    private Flog(Medium medium, long offset, int laneCount) {
        this.medium = medium;
        this.offset = offset;
        this.lanes = new Lane[laneCount];
        this.pairs = Arena.ofAuto().allocate(laneCount * PAIR_STRIDE, Long.BYTES);
        this.found = Arena.ofAuto().allocate(laneCount * PAIR_STRIDE, Long.BYTES);
    }

    /**
     * Reads the first {@code laneCount} pairs and finishes the writes that they record and the map
     * does not show.
     *
     * @param offset where pair 0 lies on the medium, in bytes
     * @param internalNlba the number of postmap blocks
     * @throws CorruptBttException if a slot names a block that the arena does not have
     */
    static Flog recover(Medium medium, long offset, int laneCount, BlockMap map, int internalNlba)
            throws IOException {
        Flog flog = new Flog(medium, offset, laneCount);
        medium.read(offset, flog.pairs);
        for (int lane = 0; lane < laneCount; lane++) {
            Pair pair = Pair.read(flog.pairs.asSlice(lane * PAIR_STRIDE));
            requireLba(pair.first, lane, map);
            requireLba(pair.second, lane, map);
            flog.lanes[lane] = new Lane();
            flog.adopt(flog.lanes[lane], pair, map, internalNlba);
        }
        return flog;
    }

    static Pair readPair(Medium medium, long flogOffset, int lane) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(2 * SLOT_SIZE, SLOT_SIZE);
            medium.read(flogOffset + lane * PAIR_STRIDE, bytes);
            return Pair.read(bytes);
        }
    }

    private static void requireLba(Slot slot, int lane, BlockMap map) throws CorruptBttException {
        if (Integer.compareUnsigned(slot.lba, map.count()) >= 0) {
            throw new CorruptBttException(
                    "flog of lane %d names block %s, the arena has %d"
                            .formatted(lane, Integer.toUnsignedString(slot.lba), map.count()));
        }
    }

    private void adopt(Lane lane, Pair pair, BlockMap map, int internalNlba) throws IOException {
        Slot slot = pair.currentSlot();
        if (slot == null
                || MapEntry.postmapLba(slot.oldMap) >= internalNlba
                || MapEntry.postmapLba(slot.newMap) >= internalNlba) {
            lane.freeBlock = BROKEN;
            return;
        }
        lane.currentSlot = pair.current;
        lane.seq = slot.seq;
        lane.freeBlock = MapEntry.postmapLba(slot.oldMap);
        if (isUnfinished(slot, map)) {
            map.set(slot.lba, slot.newMap);
            map.persist(slot.lba, 1);
        }
    }

    /** Whether a current slot records a write that the map does not show. */
    static boolean isUnfinished(Slot slot, BlockMap map) throws IOException {
        // Whole words are compared: the entry with its state is what the log has.
        int entry = MapEntry.explicit(map.get(slot.lba), slot.lba);
        return slot.isSwap() && entry == slot.oldMap;
    }

    private static int current(int firstSeq, int secondSeq) {
        if (firstSeq == secondSeq) {
            return -1;
        }
        if (firstSeq == 0) {
            return 1;
        }
        if (secondSeq == 0) {
            return 0;
        }
        return next(firstSeq) == secondSeq ? 1 : 0;
    }

    /** 1, 2, 3 and 1 again. */
    private static int next(int seq) {
        return switch (seq & 3) {
            case 0 -> 0;
            case 1 -> 2;
            case 2 -> 3;
            default -> 1;
        };
    }

    /** The lowest lane whose pair cannot be used, or -1 if there is none. */
    int brokenLane() {
        for (int lane = 0; lane < lanes.length; lane++) {
            if (lanes[lane].freeBlock == BROKEN) {
                return lane;
            }
        }
        return -1;
    }

    int freeBlock(int lane) {
        return lanes[lane].freeBlock;
    }

    /**
     * Sees that nobody else has changed the pairs since {@link #logUnsynced} did, as far as they
     * are in memory; for one thread at a time. If somebody has, no block can be read any more.
     */
    void requireUntouched() throws IOException {
        if (medium.readNow(offset, found) && found.mismatch(pairs) >= 0) {
            medium.refuseReads();
            throw touched();
        }
    }

    /** Sees that nobody else has changed a lane's current slot since {@link #log} made it so. */
    void requireUntouched(int lane) throws IOException {
        Lane state = lanes[lane];
        long slot = offset + lane * PAIR_STRIDE + state.currentSlot * SLOT_SIZE;
        if (medium.load(slot + SEQ) != state.seq
                || MapEntry.postmapLba(medium.load(slot + OLD_MAP)) != state.freeBlock) {
            throw touched();
        }
    }

    private static IOException touched() {
        return new IOException(
                "another program has written to the pool's file; stop, and restore a copy");
    }

    /**
     * Logs one swap, durably, in the lane's idle slot: recovery now finishes it. The data of the
     * new block is durable already.
     *
     * @param oldMap the entry to be replaced, {@linkplain MapEntry#explicit explicit}
     */
    void log(int lane, int premapLba, int oldMap, int newMap) throws IOException {
        long slotOffset = idleSlot(lane);
        medium.storeLong(slotOffset, word(premapLba, oldMap));
        medium.persist(slotOffset, Long.BYTES);
        // The slot turns current in one aligned 8-byte store: a power cut sees all of it or none.
        medium.storeLong(slotOffset + NEW_MAP, word(newMap, next(lanes[lane].seq)));
        medium.persist(slotOffset + NEW_MAP, Long.BYTES);
        turn(lane, oldMap);
    }

    /**
     * Logs the swaps of lanes in a row, by one write. They are durable after the next sync: for
     * media that keep the 512 bytes of a sector together, and so a slot.
     */
    void logUnsynced(List<HeldWrite> swaps) throws IOException {
        long first = swaps.getFirst().lane() * PAIR_STRIDE;
        for (HeldWrite swap : swaps) {
            Lane lane = lanes[swap.lane()];
            long slot = swap.lane() * PAIR_STRIDE + (lane.currentSlot ^ 1) * SLOT_SIZE;
            pairs.set(WORD, slot, swap.premapLba());
            pairs.set(WORD, slot + OLD_MAP, swap.oldEntry());
            pairs.set(WORD, slot + NEW_MAP, MapEntry.normal(swap.postmapLba()));
            pairs.set(WORD, slot + SEQ, next(lane.seq));
        }
        medium.write(offset + first, pairs.asSlice(first, swaps.size() * PAIR_STRIDE));
        for (HeldWrite swap : swaps) {
            turn(swap.lane(), swap.oldEntry());
        }
    }

    private long idleSlot(int lane) {
        return offset + lane * PAIR_STRIDE + (lanes[lane].currentSlot ^ 1) * SLOT_SIZE;
    }

    /** The idle slot has become the current one, and the old block the lane's free block. */
    private void turn(int lane, int oldMap) {
        Lane state = lanes[lane];
        state.currentSlot ^= 1;
        state.seq = next(state.seq);
        state.freeBlock = MapEntry.postmapLba(oldMap);
    }

    /** Two 32-bit fields as the 8-byte word that holds them. */
    private static long word(int low, int high) {
        return Integer.toUnsignedLong(low) | (long) high << 32;
    }

    /** Fills a flog area with the pairs of a new arena. */
    static void format(MemorySegment area, InfoBlock info) {
        area.fill((byte) 0);
        for (int lane = 0; lane < info.nfree(); lane++) {
            long slot = lane * PAIR_STRIDE;
            int free = MapEntry.ZERO | info.externalNlba() + lane;
            area.set(WORD, slot, lane);
            area.set(WORD, slot + OLD_MAP, free);
            area.set(WORD, slot + NEW_MAP, free);
            area.set(WORD, slot + SEQ, 1);
        }
    }
}
