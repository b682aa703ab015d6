package pmemblk.pool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.btt.ArenaFailedException;
import pmemblk.pool.btt.BlockTranslationTable;
import pmemblk.pool.btt.BttSite;
import pmemblk.pool.btt.CachedTable;
import pmemblk.pool.btt.CommitFailedException;
import pmemblk.pool.btt.CorruptBttException;
import pmemblk.pool.btt.ErrorBlockException;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.NoSpaceException;

/**
 * An open pmemblk pool: blocks of one size, numbered from 0, each of them read and written
 * atomically. Changes are durable when {@link Durability} says, as far as the medium goes.
 *
 * <p>The file is that of PMDK's libpmemblk, which can open it whenever it is not open here: both
 * lock it. Beside the library's calls on whole blocks there are calls on ranges of bytes, from 0 to
 * below {@link #byteSize}; each block of a range is atomic, the range is not.
 *
 * <p>Thread-safe. {@link #close} waits for calls under way; all later ones throw an {@link
 * IllegalStateException}. A buffer is used during the call alone, from its position to its limit,
 * and its position ends there. What a pool cannot do is a {@link PoolException}; another {@link
 * IOException} is the device's.
 */
public final class BlockPool implements AutoCloseable {
    /** The smallest pool, in bytes. */
    public static final long MIN_POOL_SIZE = (16 << 20) + (8 << 10);

    /** The version of the libpmemblk interface whose semantics these are. */
    public static final int MAJOR_VERSION = 1;

    public static final int MINOR_VERSION = 1;

    /** Where the translation table begins in the file. */
    static final long TABLE_OFFSET = 8192;

    /** Blocks whose addresses are brought close before they are read. */
    private static final int TOUCHED_BLOCKS = 32;

    private final Path path;
    private final PoolFiles files;
    private final CachedTable table;
    private final int blockSize;
    private final long byteSize;
    private final Durability durability;
    private final Operations operations = new Operations();

    /** Where changes are accounted for that are not durable; null if all are. */
    private final @Nullable HeldTableFile held;

    private final @Nullable WriteCacheFile cached;

    private final CommitTimer timer;
    private final Defragmenter defragmenter;

    private BlockPool(
            Path path,
            PoolFiles files,
            CachedTable table,
            PoolOptions options,
            @Nullable HeldTableFile held,
            @Nullable WriteCacheFile cached) {
        this.path = path;
        this.files = files;
        this.table = table;
        this.blockSize = options.blockSize();
        this.byteSize = table.table().blockCount() * blockSize;
        this.durability = options.durability();
        this.held = held;
        this.cached = cached;
        this.timer = new CommitTimer(table);
        this.defragmenter = new Defragmenter(path, table, operations);
    }

    /**
     * Makes a pool and opens it. All of a new file is allocated; if anything fails, none is left.
     *
     * @param blockSize bytes a block, at least 1
     * @param poolSize bytes of the file to make, at least {@link #MIN_POOL_SIZE}; 0 makes the pool
     *     in the file that is there, whose first 4096 bytes are zero
     * @param mode permission bits of a new file, to which the umask does not apply
     */
    public static BlockPool create(Path path, int blockSize, long poolSize, int mode)
            throws IOException {
        return opened(path, PoolMaker.make(path, blockSize, poolSize, mode), PoolOptions.DEFAULT);
    }

    /**
     * Opens a pool, or a pool set by the path of its set file, and finishes the writes that a crash
     * interrupted. Opened for reading only, the file is left as it is.
     */
    public static BlockPool open(Path path, PoolOptions options) throws IOException {
        return opened(path, PoolFiles.open(path, options.readOnly()), options);
    }

    /** Opens a pool whose files are locked; they are closed with it, and if that fails. */
    static BlockPool opened(Path path, PoolFiles files, PoolOptions options) throws IOException {
        HeldTableFile held = null;
        WriteCacheFile cached = null;
        try {
            PoolDescriptor descriptor =
                    PoolDescriptor.require(path, files.medium(), options.blockSize());
            int blockSize = descriptor.blockSize();
            held = HeldTableFile.open(path, files, options);
            BttSite site =
                    new BttSite(
                            files.medium(), TABLE_OFFSET, files.header().poolsetUuid(), blockSize);
            BlockTranslationTable table =
                    BlockTranslationTable.open(
                            site,
                            descriptor.zeroed(),
                            files.readOnly(),
                            held == null ? null : held.table());
            boolean caches =
                    options.durability() == Durability.ON_FLUSH
                            && !files.readOnly()
                            && !files.sparse();
            if (held != null) {
                cached =
                        WriteCacheFile.open(
                                held.cacheFile(),
                                held.nonce(),
                                blockSize,
                                files.readOnly(),
                                caches ? options.writeCacheSize() : 0);
            }
            BlockPool pool =
                    new BlockPool(
                            path,
                            files,
                            new CachedTable(table, cached == null ? null : cached.cache()),
                            options.withBlockSize(blockSize),
                            held,
                            cached);
            if (cached != null && !caches && !files.readOnly()) {
                pool.table.checkpoint();
            }
            if (pool.holdsWrites()) {
                pool.timer.start();
            }
            if (options.defragment().includes(files.medium().kind()) && !files.readOnly()) {
                pool.defragmenter.start();
            }
            return pool;
        } catch (CorruptBttException e) {
            closeAfter(e, cached, held, files.medium());
            throw new CorruptPoolException(path + ": " + e.getMessage());
        } catch (IOException | RuntimeException e) {
            closeAfter(e, cached, held, files.medium());
            throw e;
        } catch (InternalError e) {
            closeAfter(e, cached, held, files.medium());
            throw missingPage(path, e);
        }
    }

    /**
     * Checks a pool that is not open, without changing it: headers, info blocks, map and flog, and
     * that each block has one owner.
     *
     * @param blockSize the block size it must have, in bytes; 0 takes any
     * @throws PoolException if the pool could not be checked: absent, in use, or of another size
     */
    public static PoolCheck check(Path path, int blockSize) throws IOException {
        return PoolCheck.run(path, PoolOptions.DEFAULT.withBlockSize(blockSize), Progress.NONE);
    }

    /**
     * Sees that this interface serves a caller who was written for another version.
     *
     * @throws IllegalArgumentException if it does not: another major, or a later minor version
     */
    public static void checkVersion(int majorRequired, int minorRequired) {
        if (majorRequired != MAJOR_VERSION) {
            throw new IllegalArgumentException(
                    "major version mismatch (need %d, found %d)"
                            .formatted(majorRequired, MAJOR_VERSION));
        }
        if (minorRequired > MINOR_VERSION) {
            throw new IllegalArgumentException(
                    "minor version mismatch (need %d, found %d)"
                            .formatted(minorRequired, MINOR_VERSION));
        }
    }

    /** Bytes a block, as asked for when the pool was made. */
    public int blockSize() {
        return blockSize;
    }

    /** The number of blocks. */
    public long blockCount() {
        return table.table().blockCount();
    }

    /** Bytes in all blocks. */
    public long byteSize() {
        return byteSize;
    }

    CachedTable table() {
        return table;
    }

    public boolean isReadOnly() {
        return files.readOnly();
    }

    /** Whether a call may wait for a device, and so should not be made where others wait for it. */
    public boolean mayBlock() {
        return files.medium().kind() == Medium.Kind.FILE;
    }

    /** Whether changes wait for a flush to become durable. */
    private boolean holdsWrites() {
        return durability == Durability.ON_FLUSH
                && files.medium().kind() == Medium.Kind.FILE
                && !files.readOnly();
    }

    /** Whether a change returns only when a device has made it durable. */
    public boolean flushesEveryWrite() {
        return durability == Durability.EVERY_WRITE && mayBlock();
    }

    /** Why the pool, or a part of it, takes no changes any more; null if it takes them. */
    public @Nullable String failureReason() {
        return table.table().failureReason();
    }

    public PoolInfo info() {
        Medium.Kind kind = files.medium().kind();
        return new PoolInfo(
                path,
                files.fileSize(),
                blockSize,
                table.table().blockCount(),
                files.header().poolsetUuid(),
                table.table().arenaCount(),
                table.table().laneCount(),
                files.readOnly(),
                kind.title(),
                kind.afterKill(),
                flushesEveryWrite() ? "every replied write" : kind.afterPowerCut());
    }

    /**
     * Reads a block into {@code target}, which has room for just that.
     *
     * @throws BlockErrorException if the block is in the error state; {@code target} is left alone
     * @throws IndexOutOfBoundsException if there is no such block
     */
    public void read(long block, ByteBuffer target) throws IOException {
        requireBlock(block);
        if (target.remaining() != blockSize) {
            throw new IllegalArgumentException(
                    "room for %d bytes, a block has %d".formatted(target.remaining(), blockSize));
        }
        readBytes(block * blockSize, target);
    }

    /**
     * Replaces a block by the bytes of {@code source}, and by zeroes if they are fewer than a
     * block's. Clears its error state.
     *
     * @throws IndexOutOfBoundsException if there is no such block
     * @throws IllegalArgumentException if {@code source} has more bytes than a block
     */
    public void write(long block, ByteBuffer source) throws IOException {
        requireBlock(block);
        if (source.remaining() > blockSize) {
            throw new IllegalArgumentException(
                    "%d bytes, a block has %d".formatted(source.remaining(), blockSize));
        }
        if (source.remaining() == blockSize) {
            writeBytes(block * blockSize, source);
            return;
        }
        ByteBuffer padded = ByteBuffer.allocateDirect(blockSize).put(source).clear();
        writeBytes(block * blockSize, padded);
    }

    /** Makes a block read as zeroes, whatever its state, without writing data. */
    public void setZero(long block) throws IOException {
        requireBlock(block);
        zeroBytes(block * blockSize, blockSize);
    }

    /** Puts a block into the error state, in which it cannot be read until it is written. */
    public void setError(long block) throws IOException {
        requireBlock(block);
        beginChange();
        try {
            table.setError(block);
            flushIfEveryWrite();
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
    }

    /**
     * Fills {@code target} with the bytes from {@code offset} on.
     *
     * @throws BlockErrorException if one of the blocks is in the error state; {@code target} may
     *     then hold the bytes of those before it
     */
    public void readBytes(long offset, ByteBuffer target) throws IOException {
        Objects.checkFromIndexSize(offset, (long) target.remaining(), byteSize);
        MemorySegment bytes = MemorySegment.ofBuffer(target);
        operations.begin();
        try {
            for (long done = 0; done < bytes.byteSize(); ) {
                int from = (int) ((offset + done) % blockSize);
                done += table.read((offset + done) / blockSize, from, bytes.asSlice(done));
            }
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
        target.position(target.limit());
    }

    /** Tells what the blocks of a range hold, without reading them: it costs their map entries. */
    public void extents(long offset, long length, ExtentVisitor visitor) throws IOException {
        Objects.checkFromIndexSize(offset, length, byteSize);
        operations.begin();
        try {
            ExtentScan.run(table, blockSize, offset, length, visitor);
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
    }

    /**
     * Does what {@link #readBytes} does if that takes no waiting for a device and meets no block in
     * the error state; else returns false, and {@code target} may hold some of the bytes but is
     * still to be filled.
     */
    public boolean readBytesNow(long offset, ByteBuffer target) throws IOException {
        Objects.checkFromIndexSize(offset, (long) target.remaining(), byteSize);
        MemorySegment bytes = MemorySegment.ofBuffer(target);
        operations.begin();
        long touched = offset / blockSize;
        try {
            for (long done = 0; done < bytes.byteSize(); ) {
                int from = (int) ((offset + done) % blockSize);
                long block = (offset + done) / blockSize;
                if (block >= touched) {
                    touched = block + touchFrom(block, offset + bytes.byteSize());
                }
                long count = table.readNow(block, from, bytes.asSlice(done));
                if (count == 0) {
                    return false;
                }
                done += count;
            }
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
        target.position(target.limit());
        return true;
    }

    /** Looks ahead in a memory, whose blocks lie scattered; returns by how many blocks. */
    private int touchFrom(long block, long end) throws IOException {
        int count = (int) Math.min(TOUCHED_BLOCKS, Math.ceilDiv(end, (long) blockSize) - block);
        if (count > 1 && !mayBlock()) {
            table.table().touch(block, count);
        }
        return count;
    }

    /** Whether {@link #extents} can do without waiting for a device. */
    public boolean extentsAtHand(long offset, long length) {
        Objects.checkFromIndexSize(offset, length, byteSize);
        operations.begin();
        try {
            long end = Math.ceilDiv(offset + length, (long) blockSize);
            return table.table().isMapAtHand(offset / blockSize, end - offset / blockSize);
        } finally {
            operations.end();
        }
    }

    /**
     * Writes the bytes of {@code source} from {@code offset} on. A block of which only a part is
     * written keeps the rest, and changes atomically all the same.
     *
     * @throws BlockErrorException if a block of which only a part is written is in the error state;
     *     those before it have been written
     */
    public void writeBytes(long offset, ByteBuffer source) throws IOException {
        writeBytes(offset, source, false);
    }

    /**
     * Writes as {@link #writeBytes} does, but past the write cache and, whatever the {@link
     * Durability}, for a {@link #flushAsync} that makes it durable.
     */
    public void writeBytesThrough(long offset, ByteBuffer source) throws IOException {
        writeBytes(offset, source, true);
    }

    private void writeBytes(long offset, ByteBuffer source, boolean through) throws IOException {
        Objects.checkFromIndexSize(offset, (long) source.remaining(), byteSize);
        MemorySegment bytes = MemorySegment.ofBuffer(source);
        beginChange();
        try {
            for (long done = 0; done < bytes.byteSize(); ) {
                long block = (offset + done) / blockSize;
                int from = (int) ((offset + done) % blockSize);
                done += writeSome(block, from, bytes, done, through);
            }
            if (!through) {
                flushIfEveryWrite();
            }
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
        source.position(source.limit());
    }

    /**
     * Writes what follows {@code done} in {@code source} from {@code from} of a block on; returns
     * how many bytes, at least one.
     */
    private long writeSome(long block, int from, MemorySegment source, long done, boolean through)
            throws IOException {
        long left = source.byteSize() - done;
        if (from == 0 && left >= blockSize) {
            MemorySegment blocks = source.asSlice(done, left / blockSize * blockSize);
            return through ? table.writeThrough(block, blocks) : table.write(block, blocks);
        }
        long count = Math.min(left, blockSize - from);
        table.edit(block, from, source.asSlice(done, count));
        return count;
    }

    /**
     * Does what {@link #writeBytes} does if that takes no waiting for a device, as the write cache
     * has room for it; else returns false, and some of the bytes may be written but all are still
     * to be.
     */
    public boolean writeBytesNow(long offset, ByteBuffer source) throws IOException {
        Objects.checkFromIndexSize(offset, (long) source.remaining(), byteSize);
        if (cached == null || offset % blockSize != 0 || source.remaining() % blockSize != 0) {
            return false;
        }
        beginChange();
        try {
            if (!table.writeNow(offset / blockSize, MemorySegment.ofBuffer(source))) {
                return false;
            }
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
        source.position(source.limit());
        return true;
    }

    /** Makes a range read as zeroes; data is written only where it covers a part of a block. */
    public void zeroBytes(long offset, long length) throws IOException {
        Objects.checkFromIndexSize(offset, length, byteSize);
        long end = offset + length;
        long firstWhole = Math.min(end, roundUp(offset));
        long endWhole = Math.max(firstWhole, end / blockSize * blockSize);
        beginChange();
        try {
            zeroPart(offset, firstWhole);
            table.zero(firstWhole / blockSize, (endWhole - firstWhole) / blockSize);
            zeroPart(endWhole, end);
            flushIfEveryWrite();
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
    }

    /** Zeroes a range that lies within one block, if it does not read as zeroes already. */
    private void zeroPart(long from, long to) throws IOException {
        long block = from / blockSize;
        if (from < to && !table.readsAsZeroes(block)) {
            try (Arena memory = Arena.ofConfined()) {
                table.edit(block, (int) (from % blockSize), memory.allocate(to - from));
            }
        }
    }

    /** Zeroes the whole blocks of a range that nobody needs any more; leaves the edges alone. */
    public void trimBytes(long offset, long length) throws IOException {
        Objects.checkFromIndexSize(offset, length, byteSize);
        long firstWhole = roundUp(offset);
        long endWhole = (offset + length) / blockSize * blockSize;
        if (firstWhole < endWhole) {
            zeroBytes(firstWhole, endWhole - firstWhole);
        }
    }

    /**
     * Returns once every change whose call returned before is as durable as the medium makes it.
     */
    public void flush() throws IOException {
        operations.begin();
        try {
            table.flush();
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
    }

    /**
     * Has the device begin to write what a {@link #flush} that soon comes would wait for. The pool
     * is not closed meanwhile.
     */
    public void prepareFlush() {
        operations.begin();
        try {
            table.prepareFlush();
        } finally {
            operations.end();
        }
    }

    /**
     * Brings what was written before from the write cache to where a {@link #flushAsync} makes it
     * durable.
     */
    public void writeBack() throws IOException {
        operations.begin();
        try {
            table.writeBack();
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            operations.end();
        }
    }

    /**
     * Does what {@link #flush} does for many callers with few threads, but for what the write cache
     * has: waits only if nobody else is flushing, who then tells this caller. The pool is not
     * closed before.
     *
     * @param callers who call as one; a flush waits a little for as many as it usually has
     * @return completes with the flush, or with an {@link IOException}; what depends on it is to be
     *     brief, since others wait behind, and must not call the pool
     */
    public CompletableFuture<Void> flushAsync(int callers) {
        operations.begin();
        CompletableFuture<Void> named = new CompletableFuture<>();
        table.flushAsync(callers)
                .whenComplete(
                        (none, failure) -> {
                            operations.end();
                            if (failure == null) {
                                named.complete(null);
                            } else {
                                boolean known =
                                        failure instanceof IOException
                                                || failure instanceof InternalError;
                                named.completeExceptionally(known ? named(failure) : failure);
                            }
                        });
        return named;
    }

    private void flushIfEveryWrite() throws IOException {
        if (durability == Durability.EVERY_WRITE) {
            table.flush();
        }
    }

    /**
     * Makes all changes durable and closes the files, once no call is under way; harmless if
     * repeated.
     *
     * @throws IOException if the changes could not be made durable; the files are closed then too
     */
    @Override
    public void close() throws IOException {
        if (!operations.close()) {
            return;
        }
        timer.stop();
        defragmenter.stop();
        try {
            if (!files.readOnly()) {
                table.checkpoint();
                if (cached != null) {
                    cached.remove();
                }
                if (held != null) {
                    held.remove();
                }
            }
        } catch (IOException | InternalError e) {
            throw named(e);
        } finally {
            closeAll(cached, held, files.medium());
        }
    }

    private long roundUp(long offset) {
        return Math.ceilDiv(offset, (long) blockSize) * blockSize;
    }

    private void requireBlock(long block) {
        if (block < 0 || block >= blockCount()) {
            throw new IndexOutOfBoundsException(
                    "%s has no block %d, they are numbered 0 to %d"
                            .formatted(path, block, blockCount() - 1));
        }
    }

    private void beginChange() throws ReadOnlyPoolException {
        if (files.readOnly()) {
            throw new ReadOnlyPoolException(
                    path
                            + " takes no changes: it was opened for reading only, or has features"
                            + " that are not known here");
        }
        operations.begin();
    }

    /** A failure with the name of the pool and what to do about it. */
    private IOException named(Throwable failure) {
        return switch (failure) {
            case ErrorBlockException e ->
                    new BlockErrorException(
                            "%s: %s; writing or zeroing it clears that"
                                    .formatted(path, e.getMessage()),
                            e.block());
            case CommitFailedException e ->
                    new PoolFailedException(
                            "%s %s; it can still be read; see to the disk, then open it again"
                                    .formatted(path, e.getMessage()),
                            e);
            case NoSpaceException e ->
                    new PoolFullException(
                            "%s has a hole there, and no place is left to fill it: %s"
                                    .formatted(path, e.getReason()),
                            e);
            case ArenaFailedException e ->
                    new ArenaErrorException(
                            "%s: %s; stop, and check the pool".formatted(path, e.getMessage()));
            case IOException e -> e;
            default -> missingPage(path, failure);
        };
    }

    /**
     * What to tell of an {@link InternalError}, which the JVM throws for a mapped page, somewhere
     * above the access to it.
     */
    static PoolFileException missingPage(Path path, Throwable failure) {
        return new PoolFileException(
                path
                        + ": a page cannot be had; the file was cut short, or has a hole that its"
                        + " full file system cannot fill",
                failure);
    }

    private static void closeAfter(
            Throwable failure,
            @Nullable WriteCacheFile cached,
            @Nullable HeldTableFile held,
            Medium medium) {
        try {
            closeAll(cached, held, medium);
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    private static void closeAll(
            @Nullable WriteCacheFile cached, @Nullable HeldTableFile held, Medium medium)
            throws IOException {
        try (medium;
                held;
                cached) {
            // Closed in the opposite order.
        }
    }
}
