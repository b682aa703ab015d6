package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A table with a {@link WriteCache} before it, or without one.
 *
 * <p>Whole blocks are written to the cache while it has room, and found there. They are brought to
 * the table, the oldest first, by whoever flushes; all other changes are made in the table, and
 * whatever the cache had of their blocks before is forgotten afterwards, so that at any moment a
 * kill leaves the block in one of the two as it was or as it was to be. Meanwhile nothing that is
 * older may come to the table from the cache: changes share a gate, from which those who bring
 * blocks exclude them. Writes to the cache and reads pass it by.
 *
 * <p>Blocks are numbered as in the {@link BlockTranslationTable}, which the methods are named
 * after. Thread-safe.
 */
public final class CachedTable {
    private static final Logger LOG = LoggerFactory.getLogger(CachedTable.class);

    /**
     * Blocks that are brought to the table at a time, at most, and bytes: changes wait for them.
     */
    private static final int MAX_RUN = 64;

    private static final long MAX_RUN_SIZE = 256 << 10;

    /**
     * So many periods without a flush, or anything for one, before a cache gives its memory back:
     * to get it again costs more than to copy blocks does.
     */
    private static final int IDLE_PERIODS = 60;

    /** So many blocks brought are worth a head start for the device. */
    private static final int HEAD_START = 64;

    private final BlockTranslationTable table;
    private final int blockSize;
    private final @Nullable WriteCache cache;

    /** Write-locked by who brings blocks of the cache, read-locked by who changes the table. */
    private final ReadWriteLock gate = new ReentrantReadWriteLock(true);

    /** When somebody began last to bring all blocks, by {@link System#nanoTime}. */
    private volatile long lastWriteBackNanos = System.nanoTime();

    /** Whether the last try of the timer to bring blocks failed; used by that alone. */
    private boolean failing;

    /**
     * Puts a cache before a table.
     *
     * @param cache of whole blocks of this table; null if there is none
     * @throws CorruptBttException if the table has no such blocks
     */
    public CachedTable(BlockTranslationTable table, @Nullable WriteCache cache)
            throws CorruptBttException {
        long end = table.blockCount();
        long[] beyond = cache == null ? new long[0] : cache.presentFrom(end, Long.MAX_VALUE - end);
        if (beyond.length > 0) {
            throw new CorruptBttException(
                    "the write cache has block %d, the table has %d".formatted(beyond[0], end));
        }
        this.table = table;
        this.blockSize = table.blockSize();
        this.cache = cache;
    }

    /** The table, which lacks what the cache has. */
    public BlockTranslationTable table() {
        return table;
    }

    /** The cache, if it has to be asked. */
    private @Nullable WriteCache filledCache() {
        WriteCache present = cache;
        return present == null || present.isEmpty() ? null : present;
    }

    /** As {@link BlockTranslationTable#read}. */
    public long read(long lba, int offset, MemorySegment target) throws IOException {
        return read(lba, offset, target, table::read);
    }

    /** As {@link BlockTranslationTable#readNow}. */
    public long readNow(long lba, int offset, MemorySegment target) throws IOException {
        return read(lba, offset, target, table::readNow);
    }

    /** A way to read from the table. */
    private interface TableRead {
        long read(long lba, int offset, MemorySegment target) throws IOException;
    }

    private long read(long lba, int offset, MemorySegment target, TableRead fromTable)
            throws IOException {
        while (true) {
            WriteCache filled = filledCache();
            long count = filled == null ? 0 : filled.read(lba, offset, target);
            if (count > 0) {
                return count;
            }
            MemorySegment part = filled == null ? target : uncached(filled, lba, offset, target);
            count = fromTable.read(lba, offset, part);
            // Else this may be the outcome of a change that others are not to see yet: the table
            // has it before what the cache had of the block is forgotten.
            if (areAbsent(lba, offset + count)) {
                return count;
            }
        }
    }

    /** Whether the cache has no block of those that so many bytes lie in. */
    private boolean areAbsent(long lba, long length) {
        WriteCache filled = filledCache();
        int count = (int) Math.ceilDiv(length, (long) blockSize);
        return filled == null || filled.absentFrom(lba, count) == count;
    }

    /** The part of {@code target} before the next block that the cache has. */
    private MemorySegment uncached(WriteCache filled, long lba, int offset, MemorySegment target) {
        long blocks = Math.ceilDiv(offset + target.byteSize(), (long) blockSize);
        int count = 1 + filled.absentFrom(lba + 1, (int) Math.min(blocks - 1, MAX_RUN));
        long length = (long) count * blockSize - offset;
        return length < target.byteSize() ? target.asSlice(0, length) : target;
    }

    /**
     * Replaces a block, and maybe others that follow it, by the whole blocks in {@code source}, in
     * the cache if it has room.
     *
     * @return how many bytes of {@code source} were written, at least a block's
     */
    public long write(long lba, MemorySegment source) throws IOException {
        long cached = putInCache(lba, source);
        return cached > 0 ? cached : writeThrough(lba, source);
    }

    /**
     * Does what {@link #write} does for all of {@code source} if that takes no waiting; else
     * returns false, and some of it may be written but all is still to be.
     */
    public boolean writeNow(long lba, MemorySegment source) throws IOException {
        return cache != null
                && table.isMapAtHand(lba, source.byteSize() / blockSize)
                && putInCache(lba, source) == source.byteSize();
    }

    private long putInCache(long lba, MemorySegment source) throws IOException {
        // What a table that has failed does not take must not seem to be written.
        if (cache == null || table.failureReason() != null) {
            return 0;
        }
        // Nor what it could not take, or that block would fail each flush.
        table.requireReplaceable(lba, source.byteSize() / blockSize);
        return cache.put(lba, source);
    }

    /** As {@link BlockTranslationTable#write}: a {@link #flushAsync} suffices for its bytes. */
    public long writeThrough(long lba, MemorySegment source) throws IOException {
        if (filledCache() == null) {
            // As below, but without allocating anything.
            return table.write(lba, source);
        }
        long[] written = new long[1];
        change(
                lba,
                () -> {
                    written[0] = table.write(lba, source);
                    return written[0] / blockSize;
                });
        return written[0];
    }

    /** A change of the table; returns how many blocks it replaced. */
    private interface Change {
        long make() throws IOException;
    }

    /** Makes a change from a block on; what the cache had of the blocks before is obsolete then. */
    private void change(long lba, Change change) throws IOException {
        WriteCache filled = filledCache();
        if (filled == null) {
            change.make();
            return;
        }
        gate.readLock().lock();
        try {
            long seq = filled.lastSeq();
            filled.forget(lba, change.make(), seq);
        } finally {
            gate.readLock().unlock();
        }
    }

    /** As {@link BlockTranslationTable#edit}. */
    public void edit(long lba, int offset, MemorySegment source) throws IOException {
        WriteCache filled = filledCache();
        if (filled != null && filled.contains(lba)) {
            try (Arena memory = Arena.ofConfined()) {
                MemorySegment block = memory.allocate(blockSize);
                bring(filled, () -> lba, Long.MAX_VALUE, block);
            }
        }
        table.edit(lba, offset, source);
    }

    /** As {@link BlockTranslationTable#readsAsZeroes}. */
    public boolean readsAsZeroes(long lba) throws IOException {
        WriteCache filled = filledCache();
        return (filled == null || !filled.contains(lba)) && table.readsAsZeroes(lba);
    }

    /** As {@link BlockTranslationTable#zero}. */
    public void zero(long lba, long count) throws IOException {
        change(
                lba,
                () -> {
                    table.zero(lba, count);
                    return count;
                });
    }

    /** As {@link BlockTranslationTable#setError}. */
    public void setError(long lba) throws IOException {
        change(
                lba,
                () -> {
                    table.setError(lba);
                    return 1;
                });
    }

    /** As {@link BlockTranslationTable#scan}. */
    public void scan(long lba, long count, RunVisitor visitor) throws IOException {
        WriteCache filled = filledCache();
        long[] present = filled == null ? new long[0] : filled.presentFrom(lba, count);
        table.scan(lba, count, present.length == 0 ? visitor : new Overlay(lba, present, visitor));
    }

    /** Tells of blocks that the cache has as data, whatever the table says of them. */
    private static final class Overlay implements RunVisitor {
        private final long[] present;
        private final RunVisitor visitor;
        private long block;
        private int passed;

        Overlay(long lba, long[] present, RunVisitor visitor) {
            this.block = lba;
            this.present = present;
            this.visitor = visitor;
        }

        @Override
        public boolean run(boolean isError, boolean isZero, long count) {
            long end = block + count;
            boolean more = true;
            while (more && block < end) {
                while (passed < present.length && present[passed] < block) {
                    passed++;
                }
                long start = block;
                boolean cached = passed < present.length && present[passed] == block;
                if (cached) {
                    while (block < end && passed < present.length && present[passed] == block) {
                        block++;
                        passed++;
                    }
                } else {
                    block = passed < present.length ? Math.min(end, present[passed]) : end;
                }
                more = visitor.run(isError && !cached, isZero && !cached, block - start);
            }
            return more;
        }
    }

    /**
     * As {@link BlockTranslationTable#defragment}, but tells to stop while the cache has blocks:
     * they will be replaced soon.
     */
    public boolean defragment(BooleanSupplier goesOn) throws IOException {
        return table.defragment(() -> goesOn.getAsBoolean() && filledCache() == null);
    }

    /** Returns once every change that returned before is durable, as far as the medium goes. */
    public void flush() throws IOException {
        writeBack();
        table.flush();
    }

    /** Brings to the table what was written to the cache by now. */
    public void writeBack() throws IOException {
        lastWriteBackNanos = System.nanoTime();
        WriteCache filled = filledCache();
        if (filled == null) {
            return;
        }
        long upTo = filled.lastSeq();
        long size = (long) Math.clamp(MAX_RUN_SIZE / blockSize, 1, MAX_RUN) * blockSize;
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment blocks = memory.allocate(size);
            int unstarted = 0;
            int count = 1;
            while (count > 0) {
                count = bring(filled, () -> filled.oldest(upTo), upTo, blocks);
                unstarted += count;
                if (unstarted >= HEAD_START) {
                    table.prepareFlush();
                    unstarted = 0;
                }
            }
        }
    }

    /** Says which block to bring, or -1, once no other is brought. */
    private interface Choice {
        long block();
    }

    /**
     * Brings a block to the table, and those that follow it.
     *
     * @param upTo brings no block that has only later writes
     * @param memory for one block or more
     * @return how many blocks were brought
     */
    private int bring(WriteCache filled, Choice choice, long upTo, MemorySegment memory)
            throws IOException {
        gate.writeLock().lock();
        try {
            long block = choice.block();
            if (block < 0) {
                return 0;
            }
            // Writes that come from now on are not forgotten, whether they are copied or not.
            long seq = filled.lastSeq();
            long length = 0;
            while (length < memory.byteSize()
                    && filled.copy(
                            block + length / blockSize, upTo, memory.asSlice(length, blockSize))) {
                length += blockSize;
            }
            for (long done = 0; done < length; ) {
                MemorySegment rest = memory.asSlice(done, length - done);
                done += table.write(block + done / blockSize, rest);
            }
            filled.forget(block, length / blockSize, seq);
            return (int) (length / blockSize);
        } finally {
            gate.writeLock().unlock();
        }
    }

    /** As {@link BlockTranslationTable#prepareFlush}. */
    public void prepareFlush() {
        table.prepareFlush();
    }

    /**
     * As {@link BlockTranslationTable#flushAsync}: for what is in the table, and so for changes
     * other than a {@link #write}, or for all after a {@link #writeBack}.
     */
    public CompletableFuture<Void> flushAsync(int callers) {
        return table.flushAsync(callers);
    }

    /**
     * Flushes, takes no more writes to the cache, and leaves nothing for recovery to finish; nobody
     * else changes anything meanwhile.
     */
    public void checkpoint() throws IOException {
        if (cache != null) {
            cache.retire();
            writeBack();
        }
        table.checkpoint();
    }

    /**
     * Flushes unless that was done within the last period; returns in how many nanoseconds it may
     * be due again. A cache that is empty gives its memory back.
     */
    public long flushIfDue(long periodNanos) throws IOException {
        long left = lastWriteBackNanos + periodNanos - System.nanoTime();
        if (filledCache() == null) {
            if (cache != null && left < -IDLE_PERIODS * periodNanos) {
                cache.shrink();
            }
            return table.flushIfDue(periodNanos);
        }
        if (left > 0) {
            return Math.min(left, table.flushIfDue(periodNanos));
        }
        try {
            flush();
            failing = false;
        } catch (IOException e) {
            if (table.failureReason() != null) {
                throw e;
            }
            if (!failing) {
                LOG.warn("what is in the write cache cannot be written yet: {}", e.getMessage());
            }
            failing = true;
        }
        return periodNanos;
    }
}
