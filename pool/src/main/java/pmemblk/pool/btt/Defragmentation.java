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
 * one of them is put elsewhere for a while.
 *
 * <p>Nothing says which block belongs to a place. It is the one whose neighbours lie beside the
 * place, as after a large write, which moves many by the same distance; or if no block has any
 * there, the one that lay there when the pool was new. Each move brings more neighbours together
 * than it parts, or as many and a block to where it first lay: so it comes to an end.
 *
 * <p>Used by one thread; others may use the arena meanwhile.
 */
final class Defragmentation {
    /** No block, or no place; not beside any. */
    private static final int NONE = Integer.MIN_VALUE;

    private final BttArena arena;
    private final BlockMap map;
    private final WrittenPages written;
    private final WritePath path;
    private final BooleanSupplier goesOn;
    private final MemorySegment scratch;

    /** How many moved blocks wait for a commit. */
    private int heldCount;

    /**
     * @param goesOn asked before each move
     * @param scratch native memory of a block's size
     */
    Defragmentation(BttArena arena, WritePath path, BooleanSupplier goesOn, MemorySegment scratch) {
        this.arena = arena;
        this.map = arena.map();
        this.written = arena.written();
        this.path = path;
        this.goesOn = goesOn;
        this.scratch = scratch;
    }

    /**
     * Moves what lies apart among blocks that were written, as far as it is at hand.
     *
     * @return false if it came to an end before it was done
     */
    boolean run() throws IOException {
        do {
            heldCount = 0;
            for (int lane = 0; lane < path.laneCount(); lane++) {
                if (path.tryTakeLane(lane)) {
                    fill(lane);
                }
            }
            for (int page = written.next(0); page >= 0; page = written.next(page + 1)) {
                written.remove(page);
                if (!breakCircles(page)) {
                    written.add(page * BlockMap.PAGE);
                    break;
                }
            }
            if (heldCount > 0) {
                // Gives the lanes back, with the places where these blocks were.
                path.checkpoint();
            }
        } while (heldCount > 0);
        return written.next(0) < 0;
    }

    /** Puts blocks elsewhere that lie where others belong; false if it came to an end before. */
    private boolean breakCircles(int page) throws IOException {
        int end = Math.min(map.count(), (page + 1) * BlockMap.PAGE);
        for (int block = page * BlockMap.PAGE; block < end; block++) {
            int place = placeOf(block);
            if (place == NONE || place == block || neighboursAt(block, place) > 0) {
                continue;
            }
            if (blockFor(place) == NONE) {
                continue;
            }
            int lane = goesOn.getAsBoolean() ? path.tryTakeLane() : -1;
            if (lane < 0) {
                return false;
            }
            moveInto(lane, block);
        }
        return true;
    }

    /** Moves to the free block of a lane what belongs there, if anything. */
    private void fill(int lane) throws IOException {
        moveInto(lane, blockFor(arena.flog().freeBlock(lane)));
    }

    /**
     * Moves a block to the free block of a lane, and to where it was what belongs there, and so on;
     * gives the lane back.
     */
    private void moveInto(int lane, int firstBlock) throws IOException {
        boolean held = false;
        try {
            int block = firstBlock;
            while (block != NONE && goesOn.getAsBoolean()) {
                BttArena.Edit outcome = arena.move(lane, block, scratch);
                held = outcome == BttArena.Edit.HELD;
                boolean freed = outcome == BttArena.Edit.DONE;
                block = freed ? blockFor(arena.flog().freeBlock(lane)) : NONE;
            }
        } finally {
            if (held) {
                heldCount++;
            } else {
                arena.giveLane(lane);
            }
        }
    }

    /** The block that belongs to a place and is not there, or {@link #NONE}. */
    private int blockFor(int place) throws IOException {
        for (int near = place - 1; near <= place + 1; near++) {
            int nearPlace = placeOf(near);
            // The distance by which blocks have moved around here, maybe.
            int block = nearPlace == NONE ? NONE : place - (nearPlace - near);
            if (belongs(block, place)) {
                return block;
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

    /** Where a block lies, or {@link #NONE} if there is no such block, or no data in it. */
    private int placeOf(int block) throws IOException {
        if (block < 0 || block >= map.count()) {
            return NONE;
        }
        int entry = map.get(block);
        return MapEntry.isNormal(entry) ? MapEntry.postmapLba(entry) : NONE;
    }
}
