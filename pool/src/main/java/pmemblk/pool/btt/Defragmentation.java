package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.function.BooleanSupplier;

/**
 * Brings the blocks of one arena back beside their neighbours, from which writes have parted them:
 * blocks in a row are read at once, and are nearer to each other for whatever reads or writes them.
 *
 * <p>A block moves by an ordinary write of what it holds, to the free block of a lane, and so is
 * whole at any moment and whatever crashes. That frees the place where it was, which another block
 * may belong to, and so on. Blocks that wait for each other's places, in a circle, find one when
 * one of them is put elsewhere.
 *
 * <p>Nothing says which block belongs to a place. A block's home is the place that it had when the
 * pool was new, and large writes move many blocks by one distance from there; so a guess is the
 * block that would have moved as far as one of those whose homes are around the place, and another
 * the block whose home the place is. A guess holds if the block has more neighbours beside the
 * place than beside where it is, or as many and the place is its home. So each of these moves
 * brings neighbours together, or parts none and brings a block home. One that is put elsewhere has
 * no neighbour beside it, is not at home, and makes room for such a move. Thus it comes to an end.
 *
 * <p>Used once, by one thread; others may use the arena meanwhile.
 */
final class Defragmentation {
    /** No block, or no place; not beside any. */
    private static final int NONE = Integer.MIN_VALUE;

    private final BttArena arena;
    private final BlockMap map;
    private final WrittenPages written;
    private final Lanes lanes;
    private final WritePath path;
    private final BooleanSupplier goesOn;
    private final MemorySegment scratch;

    /** So many moved blocks wait for a commit, at most: the other lanes are for clients. */
    private final int maxHeld;

    private int heldCount;

    /** The block before which all written pages were looked through. */
    private int cursor;

    private boolean stopped;

    /**
     * @param goesOn asked before each move, and for each page of the map
     * @param scratch native memory of a block's size
     */
    Defragmentation(
            BttArena arena,
            Lanes lanes,
            WritePath path,
            BooleanSupplier goesOn,
            MemorySegment scratch) {
        this.arena = arena;
        this.map = arena.map();
        this.written = arena.written();
        this.lanes = lanes;
        this.path = path;
        this.goesOn = goesOn;
        this.scratch = scratch;
        this.maxHeld = Math.max(1, lanes.count() / 4);
    }

    /**
     * Moves what lies apart among blocks that were written, without waiting for a device to read.
     *
     * @return false if it was told to stop before it was done
     */
    boolean run() throws IOException {
        if (mayMove()) {
            // A lane is taken while its write is logged, and where that was, others may belong.
            path.releaseLanes();
        }
        do {
            heldCount = 0;
            for (int lane = 0; lane < lanes.count() && mayMove(); lane++) {
                if (lanes.tryTake(lane)) {
                    moveInto(lane, NONE);
                }
            }
            breakCircles();
            if (heldCount > 0) {
                // With them come the places where these blocks were.
                path.releaseLanes();
            }
        } while (heldCount > 0 && !stopped);
        if (stopped) {
            written.add(Math.max(0, cursor - 1));
        }
        return !stopped;
    }

    private boolean mayMove() {
        stopped = stopped || !goesOn.getAsBoolean();
        return !stopped && heldCount < maxHeld;
    }

    /**
     * Goes on through the written pages, and puts blocks elsewhere that lie where others belong.
     */
    private void breakCircles() throws IOException {
        while (cursor < map.count() && mayMove()) {
            if (cursor % BlockMap.PAGE == 0) {
                int page = written.next(cursor / BlockMap.PAGE);
                if (page < 0) {
                    return;
                }
                written.remove(page);
                cursor = page * BlockMap.PAGE;
            }
            int end = cursor + BlockMap.inPageFrom(cursor, map.count() - cursor);
            while (cursor < end && !stopped && heldCount < maxHeld) {
                breakCircle(cursor++);
            }
        }
    }

    private void breakCircle(int block) throws IOException {
        int place = placeOf(block);
        if (place == NONE
                || place == block
                || neighboursAt(block, place) > 0
                || blockFor(place) == NONE
                || !mayMove()) {
            return;
        }
        int lane = path.tryTakeLane();
        if (lane < 0) {
            stopped = true; // clients have them all
        } else {
            moveInto(lane, block);
        }
    }

    /**
     * Moves a block to the free block of a lane, or what belongs there if it is {@link #NONE}; then
     * to where that was what belongs there, and so on. Gives the lane back.
     */
    private void moveInto(int lane, int firstBlock) throws IOException {
        boolean held = false;
        boolean failed = true;
        try {
            int block = firstBlock == NONE ? blockFor(arena.flog().freeBlock(lane)) : firstBlock;
            while (block != NONE && mayMove()) {
                BttArena.Edit outcome = arena.move(lane, block, scratch);
                held = outcome == BttArena.Edit.HELD;
                boolean freed = outcome == BttArena.Edit.DONE;
                block = freed ? blockFor(arena.flog().freeBlock(lane)) : NONE;
            }
            failed = false;
        } finally {
            if (held) {
                heldCount++;
            } else if (failed) {
                arena.giveLane(lane);
            } else {
                path.giveLane(lane);
            }
        }
    }

    /** The block that belongs to a place and is not there, or {@link #NONE}. */
    private int blockFor(int place) throws IOException {
        for (int other = place - 1; other <= place + 1; other++) {
            int now = placeOf(other);
            int distance = now - other;
            if (now != NONE && belongs(place - distance, place)) {
                return place - distance;
            }
        }
        return belongs(place, place) ? place : NONE;
    }

    private boolean belongs(int block, int place) throws IOException {
        int now = placeOf(block);
        if (now == NONE || now == place) {
            return false;
        }
        int gain = neighboursAt(block, place) - neighboursAt(block, now);
        return gain > 0 || (gain == 0 && block == place);
    }

    /** How many of its two neighbours a block would have beside it in a place. */
    private int neighboursAt(int block, int place) throws IOException {
        return (placeOf(block - 1) == place - 1 ? 1 : 0)
                + (placeOf(block + 1) == place + 1 ? 1 : 0);
    }

    /**
     * Where a block lies, or {@link #NONE} if there is no such block, or no data in it, or its map
     * entry would have to be waited for.
     */
    private int placeOf(int block) throws IOException {
        if (block < 0 || block >= map.count() || !map.isAtHand(block)) {
            return NONE;
        }
        int entry = map.get(block);
        return MapEntry.isNormal(entry) ? MapEntry.postmapLba(entry) : NONE;
    }
}
