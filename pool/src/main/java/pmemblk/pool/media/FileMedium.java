package pmemblk.pool.media;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * An ordinary file, read and written through the page cache by pread(2) and pwrite(2), made durable
 * by fdatasync(2).
 *
 * <p>Not mapped: a cold page of a mapping would stop unrelated threads, and a failing device would
 * answer a load with a signal instead of an error. Threads that persist at the same time share one
 * fdatasync. After one has failed none is tried again, since the kernel would report success for
 * the pages that it dropped: every later persist fails with the first error.
 */
final class FileMedium implements Medium {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

    /**
     * Bytes that are written at once, at most. The page cache keeps in one folio what came
     * together, and small writes to large folios were slower on ext4.
     */
    private static final long MAX_WRITE = 16 << 10;

    private final LockedFile file;

    /** Whether there were bytes without a place on the device when the file was opened. */
    private final boolean sparse;

    private final WordCache words = new WordCache(this);

    /** The words that are about to be written, up to a page of them a thread. */
    private final ThreadLocal<MemorySegment> wordsOfThread =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(WordCache.PAGE_SIZE, Long.BYTES));

    private final AtomicLong persistsAsked = new AtomicLong();
    private final Object syncLock = new Object();

    /** The last persist that a sync covered; guarded by {@link #syncLock}. */
    private long persistsDone;

    /** Whether there are holes, or bytes of others, where data was; set once. */
    private volatile boolean readsRefused;

    /** Why a write failed, the first one; set once. */
    private volatile @Nullable IOException writeFailure;

    /** Why the file can no longer be made durable; guarded by {@link #syncLock}. */
    private @Nullable IOException syncFailure;

    FileMedium(LockedFile file) throws IOException {
        this.file = file;
        this.sparse = file.isSparse();
    }

    @Override
    public Kind kind() {
        return Kind.FILE;
    }

    @Override
    public long size() {
        return file.size();
    }

    @Override
    public void read(long offset, MemorySegment target) throws IOException {
        if (!target.isNative()) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment copy = arena.allocate(target.byteSize());
                read(offset, copy);
                target.copyFrom(copy);
            }
            return;
        }
        if (readsRefused) {
            throw new IOException(file.path() + " was cut short or overwritten under its server");
        }
        long done = 0;
        while (done < target.byteSize()) {
            long count = Linux.read(file.fd(), offset + done, target.asSlice(done), file.path());
            if (count == 0) {
                throw new EOFException(
                        "%s ends at byte %d, expected %d bytes; it was cut short"
                                .formatted(file.path(), offset + done, file.size()));
            }
            done += count;
        }
    }

    @Override
    public boolean readNow(long offset, MemorySegment target) {
        return !readsRefused
                && target.isNative()
                && Linux.readNow(file.fd(), offset, target) == target.byteSize();
    }

    @Override
    public void write(long offset, MemorySegment source) throws IOException {
        if (!source.isNative()) {
            try (Arena arena = Arena.ofConfined()) {
                write(offset, arena.allocate(source.byteSize()).copyFrom(source));
            }
            return;
        }
        long done = 0;
        while (done < source.byteSize()) {
            long length = Math.min(MAX_WRITE, source.byteSize() - done);
            MemorySegment part = source.asSlice(done, length);
            try {
                done += Linux.write(file.fd(), offset + done, part, file.path());
            } catch (NoSpaceException e) {
                throw e;
            } catch (IOException e) {
                writeFailure = e;
                throw e;
            }
        }
    }

    @Override
    public @Nullable IOException writeFailure() {
        return writeFailure;
    }

    @Override
    public void refuseReads() {
        readsRefused = true;
    }

    @Override
    public int load(long offset) throws IOException {
        return words.load(offset);
    }

    @Override
    public boolean isAtHand(long offset) {
        return words.isAtHand(offset);
    }

    @Override
    public void store(long offset, int word) throws IOException {
        words.store(offset, word);
    }

    @Override
    public void reserve(long offset) throws IOException {
        if (sparse) {
            // The page cache takes a page of a hole only if there is room for it on the device.
            words.rewrite(offset);
        }
    }

    @Override
    public void storeAll(long offset, int[] stored, int count) throws IOException {
        words.storeAll(offset, stored, count);
    }

    @Override
    public void storeEach(long[] offsets, int[] stored) throws IOException {
        words.storeEach(offsets, stored);
    }

    /** Writes words, a page of them at most, which the kernel copies whole. */
    void writeWords(long offset, int[] source, int from, int count) throws IOException {
        MemorySegment bytes = wordsOfThread.get().asSlice(0, (long) count * Integer.BYTES);
        MemorySegment.copy(source, from, bytes, INT, 0, count);
        write(offset, bytes);
    }

    void writeWord(long offset, int word) throws IOException {
        MemorySegment source = wordsOfThread.get().asSlice(0, Integer.BYTES);
        source.set(INT, 0, word);
        write(offset, source);
    }

    @Override
    public void storeLong(long offset, long word) throws IOException {
        MemorySegment source = wordsOfThread.get().asSlice(0, Long.BYTES);
        source.set(LONG, 0, word);
        write(offset, source);
    }

    @Override
    public void persist(long offset, long length) throws IOException {
        long asked = persistsAsked.incrementAndGet();
        // One at a time: of two concurrent calls the kernel would tell only one of an error.
        synchronized (syncLock) {
            if (syncFailure == null && persistsDone < asked) {
                long covered = persistsAsked.get();
                try {
                    requireWhole();
                    Linux.syncData(file.fd(), file.path());
                } catch (IOException e) {
                    if (e instanceof LockedFile.CutShortException) {
                        refuseReads();
                    }
                    syncFailure = e;
                }
                persistsDone = covered;
            }
            if (syncFailure != null) {
                throw new IOException(
                        "cannot be made durable since a sync failed: " + syncFailure, syncFailure);
            }
        }
    }

    @Override
    public void requireWhole() throws IOException {
        file.requireWhole();
    }

    @Override
    public void startPersist() {
        Linux.startWriteback(file.fd());
    }

    @Override
    public void refresh(long offset, long length) throws IOException {
        Linux.dropCached(file.fd(), offset, length, file.path());
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
