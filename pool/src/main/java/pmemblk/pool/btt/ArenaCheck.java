package pmemblk.pool.btt;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import pmemblk.pool.media.Medium;

/**
 * Checks the flog and the map of one arena that nobody uses, and that each postmap block has one
 * owner: a map entry or a lane.
 *
 * <p>Runs on a medium that keeps stores to itself, since it sees the map as recovery will leave it.
 * The map is read by as many threads as there are processors, in pieces.
 */
final class ArenaCheck {
    /** Map entries in a piece. */
    private static final int PIECE = 1 << 20;

    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Medium medium;
    private final int index;
    private final long base;
    private final InfoBlock info;

    /** The number that the arena's first block has in the pool. */
    private final long firstBlock;

    private final BlockMap map;
    private final OwnedBlocks owned;
    private final Flaws flaws;
    private final List<Patch> unfinished = new ArrayList<>();

    /** The free block of each lane, or -1 where it is unknown. */
    private final int[] freeBlocks;

    /**
     * @param base where the arena begins on the medium, in bytes
     * @param info sound for this medium
     * @param laneCount at most its nfree
     * @param flaws gets what is found
     */
    ArenaCheck(
            Medium medium,
            int index,
            long base,
            InfoBlock info,
            long firstBlock,
            int laneCount,
            Flaws flaws) {
        this.medium = medium;
        this.index = index;
        this.base = base;
        this.info = info;
        this.firstBlock = firstBlock;
        this.flaws = flaws;
        this.map = new BlockMap(medium, base + info.mapOffset(), info.externalNlba());
        this.owned = new OwnedBlocks(info.internalNlba());
        this.freeBlocks = new int[laneCount];
    }

    /**
     * Checks everything.
     *
     * @param advanced told how many bytes of the map have been read, by several threads
     */
    void run(LongConsumer advanced) throws IOException {
        for (int lane = 0; lane < freeBlocks.length; lane++) {
            freeBlocks[lane] = checkPair(lane);
            if (freeBlocks[lane] >= 0) {
                owned.add(freeBlocks[lane]);
            }
        }
        checkMap(this::own, advanced);
        if (owned.anyShared()) {
            reportSharingLanes();
            checkMap(this::requireUnshared, byteCount -> {});
        }
        reportUnowned();
    }

    /** The map entries that recovery will store. */
    List<Patch> unfinished() {
        return unfinished;
    }

    /** Checks a lane's pair, does what recovery will do, and returns the free block or -1. */
    private int checkPair(int lane) throws IOException {
        Flog.Pair pair = Flog.readPair(medium, base + info.flogOffset(), lane);
        boolean firstNamed = namesBlock(lane, 0, pair.first());
        boolean named = namesBlock(lane, 1, pair.second()) && firstNamed;
        Flog.Slot slot = pair.currentSlot();
        if (slot == null) {
            reportPair(
                    lane,
                    "sequence numbers of which one follows the other",
                    "%d and %d".formatted(pair.first().seq(), pair.second().seq()));
            return -1;
        }
        int free = MapEntry.postmapLba(slot.oldMap());
        int stored = MapEntry.postmapLba(slot.newMap());
        if (free >= info.internalNlba() || stored >= info.internalNlba()) {
            reportPair(
                    lane,
                    "stored blocks below " + info.internalNlba(),
                    "%d and %d".formatted(free, stored));
            return free < info.internalNlba() ? free : -1;
        }
        if (named && Flog.isUnfinished(slot, map)) {
            map.set(slot.lba(), slot.newMap());
            unfinished.add(Patch.ofWord(map.entryOffset(slot.lba()), slot.newMap()));
        }
        return free;
    }

    private boolean namesBlock(int lane, int slotIndex, Flog.Slot slot) {
        if (Integer.compareUnsigned(slot.lba(), info.externalNlba()) < 0) {
            return true;
        }
        reportPair(
                lane,
                "a block of the arena below %d in slot %d"
                        .formatted(info.externalNlba(), slotIndex),
                Integer.toUnsignedString(slot.lba()));
        return false;
    }

    private void reportPair(int lane, String expected, String found) {
        flaws.add(Flaw.ofLane("flog pair", index, lane, pairOffset(lane), expected, found));
    }

    private long pairOffset(int lane) {
        return base + info.flogOffset() + lane * Flog.PAIR_STRIDE;
    }

    /** Looks at the map entries from {@code first} on. */
    private interface PieceCheck {
        void check(int first, MemorySegment entries, Flaws found);
    }

    private void checkMap(PieceCheck check, LongConsumer advanced) throws IOException {
        int pieceCount = Math.ceilDiv(info.externalNlba(), PIECE);
        try {
            IntStream.range(0, pieceCount)
                    .parallel()
                    .mapToObj(piece -> checkPiece(piece * PIECE, check, advanced))
                    .forEachOrdered(flaws::addAll);
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private Flaws checkPiece(int first, PieceCheck check, LongConsumer advanced) {
        int count = Math.min(PIECE, info.externalNlba() - first);
        Flaws found = new Flaws();
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment entries = memory.allocate((long) count * MapEntry.SIZE, Long.BYTES);
            medium.read(map.entryOffset(first), entries);
            check.check(first, entries, found);
            advanced.accept(entries.byteSize());
            return found;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void own(int first, MemorySegment entries, Flaws found) {
        int count = (int) (entries.byteSize() / MapEntry.SIZE);
        for (int i = 0; i < count; i++) {
            if (i % OwnedBlocks.RUN == 0 && isInitialRun(entries, i)) {
                // Most of a sparse map: the blocks of the same numbers are owned.
                owned.addRun(first + i);
                i += OwnedBlocks.RUN - 1;
                continue;
            }
            int postmapLba = postmapLba(first, entries, i);
            if (postmapLba < info.internalNlba()) {
                owned.add(postmapLba);
            } else {
                String expected = "a stored block below " + info.internalNlba();
                found.add(ofEntry(first + i, expected, Integer.toString(postmapLba)));
            }
        }
    }

    private static boolean isInitialRun(MemorySegment entries, int i) {
        long begin = (long) i * MapEntry.SIZE;
        long end = begin + OwnedBlocks.RUN * MapEntry.SIZE;
        boolean initial = end <= entries.byteSize();
        for (long offset = begin; initial && offset < end; offset += Long.BYTES) {
            initial = entries.get(ValueLayout.JAVA_LONG, offset) == 0;
        }
        return initial;
    }

    private void requireUnshared(int first, MemorySegment entries, Flaws found) {
        int count = (int) (entries.byteSize() / MapEntry.SIZE);
        for (int i = 0; i < count; i++) {
            int postmapLba = postmapLba(first, entries, i);
            if (postmapLba < info.internalNlba() && owned.isShared(postmapLba)) {
                found.add(ofEntry(first + i, "a stored block of its own", shared(postmapLba)));
            }
        }
    }

    private static int postmapLba(int first, MemorySegment entries, int i) {
        return MapEntry.postmapLba(MapEntry.explicit(entries.getAtIndex(WORD, i), first + i));
    }

    private Flaw ofEntry(int premapLba, String expected, String found) {
        long offset = map.entryOffset(premapLba);
        long block = firstBlock + premapLba;
        return new Flaw("map entry", index, null, block, offset, expected, found, null);
    }

    private void reportSharingLanes() {
        for (int lane = 0; lane < freeBlocks.length; lane++) {
            if (freeBlocks[lane] >= 0 && owned.isShared(freeBlocks[lane])) {
                reportPair(lane, "a free block of its own", shared(freeBlocks[lane]));
            }
        }
    }

    private static String shared(int postmapLba) {
        return "stored block %d, which has another owner, too".formatted(postmapLba);
    }

    private void reportUnowned() {
        for (int postmapLba = owned.nextUnowned(0);
                postmapLba >= 0;
                postmapLba = owned.nextUnowned(postmapLba + 1)) {
            long offset = base + info.dataOffset() + (long) postmapLba * info.internalLbaSize();
            flaws.add(
                    Flaw.ofArena(
                            "stored block " + postmapLba,
                            index,
                            offset,
                            "one owner, a map entry or a lane",
                            "none",
                            null));
        }
    }

    /** Sees that a block which a killed process had filled where it is exists. */
    void checkFilled(HeldTable.Filled block) {
        if (block.premapLba() < 0 || block.premapLba() >= info.externalNlba()) {
            flaws.add(
                    Flaw.ofArena(
                            "held write",
                            index,
                            base + info.mapOffset(),
                            "a block below " + info.externalNlba(),
                            "" + block.premapLba(),
                            null));
        }
    }

    /** Sees that a write which a killed process held lies in its lane's free block. */
    void checkHeld(HeldTable.Entry held) throws IOException {
        int premapLba = held.premapLba();
        int lane = held.lane();
        if (premapLba < 0 || premapLba >= info.externalNlba()) {
            reportPair(
                    lane, "a held write of a block below " + info.externalNlba(), "" + premapLba);
        } else if (map.stored(premapLba) != MapEntry.normal(held.postmapLba())
                && freeBlocks[lane] != held.postmapLba()) {
            reportPair(
                    lane,
                    "free block %d, with a held write".formatted(held.postmapLba()),
                    "" + freeBlocks[lane]);
        }
    }
}
