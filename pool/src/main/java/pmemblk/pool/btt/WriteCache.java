package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;

/**
 * Whole blocks that were written and wait to be brought to their table, in memory that outlives the
 * process but not the machine.
 *
 * <pre>
 * at base:
 *   0  placed    8 bytes: so many slots have their place in memory, the others are not looked at
 * record of slot k at base + 16 + 16 k:
 *   0  block     8 bytes: 1 and the number of the block; 0 in an empty slot
 *   8  seq       8 bytes: of two slots of a block the one with the higher is the later write
 * data of slot k behind the last record, from a multiple of 4096 on, at every multiple of 8 bytes
 *   that a block has room in
 * </pre>
 *
 * <p>A slot is put into use by one store, of its block, after all else, and emptied by one. What it
 * holds never changes in between: a later write of the block takes another slot, and empties this
 * one. So a kill leaves each block as one write or another left it, and none is lost whose {@link
 * #put} returned.
 *
 * <p>Thread-safe; every call but {@link #put}, which may ask the system for memory, takes no longer
 * than copying does.
 */
public class WriteCache {
    private static final Logger LOG = LoggerFactory.getLogger(WriteCache.class);

    private static final long RECORDS = 16;
    private static final long RECORD_SIZE = 16;
    private static final long SEQ = 8;
    private static final long PAGE = 4096;

    /** Memory that is asked for at once, in bytes: little enough for an event loop to wait for. */
    private static final long GROWTH = 256 << 10;

    private static final ValueLayout.OfLong WORD =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final int NONE = -1;

    private final Medium medium;
    private final long base;
    private final long dataOffset;
    private final int blockSize;

    // All guarded by this object's monitor, but for reading the one that is volatile.

    /** So many slots there may be; those from {@link #placed} on have no memory yet. */
    private int slotCount;

    private int placed;

    /** Whether no more blocks are taken. */
    private boolean retired;

    private int used;
    private volatile boolean empty = true;
    private long lastSeq;

    private int[] free = new int[0];
    private int freeCount;

    // Of each slot in use: its block, the sequence number of its write, and that of the earliest
    // write of the block that the table has not got, which a later one replaced here.
    private long[] blocks = new long[0];
    private long[] seqs = new long[0];
    private long[] sinces = new long[0];

    /** The slots in use by their {@code since}, the least first: each one's neighbours. */
    private int[] previous = new int[0];

    private int[] next = new int[0];
    private int first = NONE;
    private int last = NONE;

    /** Slots by their blocks: the first of each chain, a power of two, and each one's follower. */
    private int[] chains = {NONE};

    private int[] chained = new int[0];

    /**
     * Finds what a killed process left behind, or nothing in a memory that is all zeroes.
     *
     * @param medium ordered memory, such as tmpfs, whose bytes need not have a place yet
     * @param base where the cache lies on it, in bytes, a multiple of 4096
     * @param slotCount so many blocks it holds at most
     * @param readOnly whether it is only to be read
     */
    public WriteCache(Medium medium, long base, int slotCount, int blockSize, boolean readOnly)
            throws IOException {
        this.medium = medium;
        this.base = base;
        this.slotCount = slotCount;
        this.blockSize = blockSize;
        this.dataOffset = base + dataOffset(slotCount);
        this.retired = readOnly;
        adopt(readOnly);
    }

    /** The bytes that a cache takes with so many slots. */
    public static long size(int slotCount, int blockSize) {
        return dataOffset(slotCount) + slotCount * stride(blockSize);
    }

    private static long dataOffset(int slotCount) {
        return Math.ceilDiv(RECORDS + slotCount * RECORD_SIZE, PAGE) * PAGE;
    }

    private static long stride(int blockSize) {
        return Math.ceilDiv((long) blockSize, Long.BYTES) * Long.BYTES;
    }

    /** How many blocks a memory of so many bytes has room for. */
    public static int slotCount(long bytes, int blockSize) {
        return (int) Math.min(bytes / (stride(blockSize) + RECORD_SIZE), 1 << 24);
    }

    /** How many blocks a killed process left behind in a memory. */
    public static int countLeft(Medium medium, long base, int slotCount, int blockSize)
            throws IOException {
        return new WriteCache(medium, base, slotCount, blockSize, true).count();
    }

    private synchronized int count() {
        return used;
    }

    private synchronized void adopt(boolean readOnly) throws IOException {
        int left;
        MemorySegment records;
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment count = memory.allocate(Long.BYTES);
            medium.read(base, count);
            left = Math.clamp(count.get(WORD, 0), 0, slotCount);
            records = memory.allocate(Math.max(1, left * RECORD_SIZE));
            medium.read(base + RECORDS, records.asSlice(0, left * RECORD_SIZE));
            makeSlots(left);
            placed = left;
            for (int slot = 0; slot < left; slot++) {
                blocks[slot] = records.get(WORD, slot * RECORD_SIZE) - 1;
                seqs[slot] = records.get(WORD, slot * RECORD_SIZE + SEQ);
            }
        }
        int[] inUse =
                IntStream.range(0, left)
                        .filter(slot -> blocks[slot] >= 0)
                        .boxed()
                        .sorted(Comparator.comparingLong(slot -> seqs[slot]))
                        .mapToInt(slot -> slot)
                        .toArray();
        freeCount = 0;
        for (int slot = left - 1; slot >= 0; slot--) {
            if (blocks[slot] < 0) {
                free[freeCount++] = slot;
            }
        }
        for (int slot : inUse) {
            lastSeq = seqs[slot];
            int earlier = find(blocks[slot]);
            if (earlier != NONE) {
                remove(earlier, !readOnly);
            }
            insert(slot, seqs[slot], last);
        }
    }

    /** Whether it has no block: then all that was ever written is in the table. */
    public boolean isEmpty() {
        return empty;
    }

    /** The number of the last write; those to come have higher ones. */
    synchronized long lastSeq() {
        return lastSeq;
    }

    /** Takes no more blocks from now on. */
    synchronized void retire() {
        retired = true;
    }

    /**
     * Takes the whole blocks in {@code source} for those from one on, as far as there is room.
     *
     * @return how many bytes were taken, maybe 0
     */
    long put(long firstBlock, MemorySegment source) throws IOException {
        long done = 0;
        while (done < source.byteSize()
                && putOne(firstBlock + done / blockSize, source.asSlice(done, blockSize))) {
            done += blockSize;
        }
        return done;
    }

    private synchronized boolean putOne(long block, MemorySegment source) throws IOException {
        if (retired || (freeCount == 0 && !grow())) {
            return false;
        }
        int slot = free[--freeCount];
        // The slot was emptied before: a killed process must not leave its record with these bytes.
        VarHandle.storeStoreFence();
        medium.write(offset(slot), source);
        blocks[slot] = block;
        seqs[slot] = ++lastSeq;
        medium.storeLong(record(slot) + SEQ, lastSeq);
        medium.storeLong(record(slot), block + 1);
        int earlier = find(block);
        if (earlier == NONE) {
            insert(slot, lastSeq, last);
        } else {
            // In this order, as a cache that seems to be empty is not asked.
            insert(slot, sinces[earlier], earlier);
            remove(earlier, true);
        }
        return true;
    }

    /**
     * Fills {@code target} with the bytes from {@code offset} of a block on, as far as the block
     * goes.
     *
     * @return how many bytes that are; 0 if the block is not here
     */
    synchronized long read(long block, int offset, MemorySegment target) throws IOException {
        int slot = find(block);
        if (slot == NONE) {
            return 0;
        }
        long count = Math.min(blockSize - offset, target.byteSize());
        medium.read(offset(slot) + offset, target.asSlice(0, count));
        return count;
    }

    synchronized boolean contains(long block) {
        return find(block) != NONE;
    }

    /** How many blocks in a row from one on are not here, of so many. */
    synchronized int absentFrom(long block, int most) {
        int count = 0;
        while (count < most && find(block + count) == NONE) {
            count++;
        }
        return count;
    }

    /** Which of so many blocks from one on are here, in order. */
    synchronized long[] presentFrom(long block, long count) {
        long[] present = new long[(int) Math.min(count, used)];
        int found = 0;
        if (count <= used) {
            for (long i = block; i < block + count; i++) {
                if (find(i) != NONE) {
                    present[found++] = i;
                }
            }
            return Arrays.copyOf(present, found);
        }
        for (int slot = first; slot != NONE; slot = next[slot]) {
            if (blocks[slot] >= block && blocks[slot] < block + count) {
                present[found++] = blocks[slot];
            }
        }
        long[] sorted = Arrays.copyOf(present, found);
        Arrays.sort(sorted);
        return sorted;
    }

    /**
     * The block that has waited longest for the table.
     *
     * @param upTo the number of a write: blocks with later ones alone are not wanted
     * @return its number, or -1 if there is nothing wanted
     */
    synchronized long oldest(long upTo) {
        return first == NONE || sinces[first] > upTo ? -1 : blocks[first];
    }

    /**
     * Copies a block that is here.
     *
     * @param upTo as for {@link #oldest}
     * @return whether it is wanted
     */
    synchronized boolean copy(long block, long upTo, MemorySegment target) throws IOException {
        int slot = find(block);
        if (slot == NONE || sinces[slot] > upTo) {
            return false;
        }
        medium.read(offset(slot), target);
        return true;
    }

    /** Forgets the writes of blocks up to a number: the table has them, or what came later. */
    synchronized void forget(long block, long count, long upTo) throws IOException {
        if (count <= used) {
            for (long i = block; i < block + count; i++) {
                int slot = find(i);
                if (slot != NONE) {
                    forgetSlot(slot, upTo);
                }
            }
            return;
        }
        int following;
        int stop = last;
        for (int slot = first; slot != NONE; slot = following) {
            following = slot == stop ? NONE : next[slot];
            if (blocks[slot] >= block && blocks[slot] < block + count) {
                forgetSlot(slot, upTo);
            }
        }
    }

    private void forgetSlot(int slot, long upTo) throws IOException {
        if (seqs[slot] <= upTo) {
            remove(slot, true);
            return;
        }
        // The table lacks only what came later.
        unlink(slot);
        int before = last;
        while (before != NONE && sinces[before] > seqs[slot]) {
            before = previous[before];
        }
        link(slot, seqs[slot], before);
    }

    /** Gives the memory back to the system, if no block is here. */
    synchronized void shrink() throws IOException {
        if (used > 0 || placed == 0) {
            return;
        }
        medium.storeLong(base, 0);
        medium.discard(record(0), placed * RECORD_SIZE);
        medium.discard(offset(0), placed * stride(blockSize));
        placed = 0;
        freeCount = 0;
        makeSlots(0);
    }

    /** Has more slots placed; false if there are no more to be had. */
    private boolean grow() throws IOException {
        int more = (int) Math.min(slotCount - placed, Math.max(1, GROWTH / stride(blockSize)));
        if (more <= 0) {
            return false;
        }
        try {
            medium.allocate(record(placed), more * RECORD_SIZE);
            medium.allocate(offset(placed), more * stride(blockSize));
        } catch (IOException e) {
            LOG.warn("the write cache has to do with {} blocks: {}", placed, e.getMessage());
            slotCount = placed;
            return false;
        }
        if (placed + more > blocks.length) {
            makeSlots(Math.min(slotCount, Math.max(placed + more, 2 * placed)));
        }
        for (int slot = placed + more - 1; slot >= placed; slot--) {
            free[freeCount++] = slot;
        }
        placed += more;
        medium.storeLong(base, placed);
        return true;
    }

    /** Makes the arrays large enough for so many slots; those in use stay as they are. */
    private void makeSlots(int count) {
        blocks = Arrays.copyOf(blocks, count);
        seqs = Arrays.copyOf(seqs, count);
        sinces = Arrays.copyOf(sinces, count);
        previous = Arrays.copyOf(previous, count);
        next = Arrays.copyOf(next, count);
        chained = Arrays.copyOf(chained, count);
        free = Arrays.copyOf(free, count);
        chains = new int[Integer.highestOneBit(Math.max(1, count)) * 2];
        Arrays.fill(chains, NONE);
        for (int slot = first; slot != NONE; slot = next[slot]) {
            chain(slot);
        }
    }

    private long record(int slot) {
        return base + RECORDS + slot * RECORD_SIZE;
    }

    private long offset(int slot) {
        return dataOffset + slot * stride(blockSize);
    }

    private int find(long block) {
        int slot = chains[chainOf(block)];
        while (slot != NONE && blocks[slot] != block) {
            slot = chained[slot];
        }
        return slot;
    }

    private int chainOf(long block) {
        // Neighbours go to different chains, and blocks a power of two apart too.
        return (int) ((block * 0x9e37_79b9_7f4a_7c15L) >>> 32) & (chains.length - 1);
    }

    private void chain(int slot) {
        int chain = chainOf(blocks[slot]);
        chained[slot] = chains[chain];
        chains[chain] = slot;
    }

    private void unchain(int slot) {
        int chain = chainOf(blocks[slot]);
        if (chains[chain] == slot) {
            chains[chain] = chained[slot];
            return;
        }
        int before = chains[chain];
        while (chained[before] != slot) {
            before = chained[before];
        }
        chained[before] = chained[slot];
    }

    private void link(int slot, long since, int before) {
        int after = before == NONE ? first : next[before];
        sinces[slot] = since;
        previous[slot] = before;
        next[slot] = after;
        if (before == NONE) {
            first = slot;
        } else {
            next[before] = slot;
        }
        if (after == NONE) {
            last = slot;
        } else {
            previous[after] = slot;
        }
    }

    private void unlink(int slot) {
        int before = previous[slot];
        int after = next[slot];
        if (before == NONE) {
            first = after;
        } else {
            next[before] = after;
        }
        if (after == NONE) {
            last = before;
        } else {
            previous[after] = before;
        }
    }

    /** Puts a slot in use into the order, behind another or first. */
    private void insert(int slot, long since, int before) {
        chain(slot);
        link(slot, since, before);
        used++;
        empty = false;
    }

    private void remove(int slot, boolean store) throws IOException {
        unlink(slot);
        unchain(slot);
        used--;
        empty = used == 0;
        if (store) {
            medium.storeLong(record(slot), 0);
        }
        free[freeCount++] = slot;
    }
}
