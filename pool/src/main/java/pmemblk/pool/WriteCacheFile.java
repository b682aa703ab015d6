package pmemblk.pool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.btt.WriteCache;
import pmemblk.pool.media.LockedFile;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.NoSpaceException;

/**
 * The file on tmpfs that holds a pool's {@link WriteCache}, beside that of its held writes, to
 * which it belongs by a number.
 *
 * <pre>
 *     0  magic
 *     8  nonce of the file of held writes
 *    16  block size
 *    24  number of slots
 *  4096  cache
 * </pre>
 */
final class WriteCacheFile implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(WriteCacheFile.class);

    private static final long MAGIC = 0x3148_4341_434d_4250L; // PBMCACH1
    private static final long NONCE = 8;
    private static final long BLOCK_SIZE = 16;
    private static final long SLOT_COUNT = 24;
    private static final int PAGE = 4096;

    private static final ValueLayout.OfLong U64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final Medium medium;
    private final WriteCache cache;

    private WriteCacheFile(Path file, Medium medium, WriteCache cache) {
        this.file = file;
        this.medium = medium;
        this.cache = cache;
    }

    /**
     * Finds what a killed process left behind, or makes a new file if one is wanted; null if there
     * is none.
     *
     * @param nonce of the held writes that it must belong to; another file is not looked at
     * @param bytes that the cache may take; 0 if none is wanted, or nothing may be changed
     */
    static @Nullable WriteCacheFile open(
            Path file, long nonce, int blockSize, boolean readOnly, long bytes) throws IOException {
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            HeldTableFile.requireOwn(file);
            WriteCacheFile left = openLeft(file, nonce, blockSize, readOnly);
            if (left != null) {
                return left;
            }
            if (!readOnly) {
                Files.delete(file);
            }
        }
        int slotCount = WriteCache.slotCount(bytes, blockSize);
        return readOnly || slotCount == 0 ? null : make(file, nonce, blockSize, slotCount);
    }

    private static @Nullable WriteCacheFile openLeft(
            Path file, long nonce, int blockSize, boolean readOnly) throws IOException {
        Medium medium = openMedium(file, readOnly);
        WriteCacheFile left = null;
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment header = readHeader(medium, memory);
            long slotCount = header.get(U64, SLOT_COUNT);
            if (header.get(U64, 0) == MAGIC
                    && header.get(U64, NONCE) == nonce
                    && header.get(U64, BLOCK_SIZE) == blockSize
                    && isCovered(medium, slotCount, blockSize)) {
                WriteCache cache =
                        new WriteCache(medium, PAGE, (int) slotCount, blockSize, readOnly);
                left = cache.isEmpty() ? null : new WriteCacheFile(file, medium, cache);
            }
        } finally {
            if (left == null) {
                medium.close();
            }
        }
        return left;
    }

    private static boolean isCovered(Medium medium, long slotCount, int blockSize) {
        return slotCount > 0
                && slotCount <= Integer.MAX_VALUE
                && PAGE + WriteCache.size((int) slotCount, blockSize) <= medium.size();
    }

    private static Medium openMedium(Path file, boolean readOnly) throws IOException {
        try {
            return LockedFile.open(file, readOnly).medium();
        } catch (IOException e) {
            throw PoolFiles.translated(file, e);
        }
    }

    private static MemorySegment readHeader(Medium medium, Arena memory) throws IOException {
        MemorySegment header = memory.allocate(PAGE);
        if (medium.size() >= PAGE) {
            medium.read(0, header);
        }
        return header;
    }

    /** Removes a file that belongs to held writes which are gone, if there is one. */
    static void removeStale(Path file) throws IOException {
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            HeldTableFile.requireOwn(file);
            Files.delete(file);
        }
    }

    private static @Nullable WriteCacheFile make(
            Path file, long nonce, int blockSize, int slotCount) throws IOException {
        Medium medium;
        try {
            long size = PAGE + WriteCache.size(slotCount, blockSize);
            medium = LockedFile.createSparse(file, size).medium();
        } catch (IOException e) {
            throw PoolFiles.translated(file, e);
        }
        try (Arena memory = Arena.ofConfined()) {
            medium.allocate(0, 2 * PAGE);
            MemorySegment header = memory.allocate(PAGE);
            header.set(U64, NONCE, nonce);
            header.set(U64, BLOCK_SIZE, blockSize);
            header.set(U64, SLOT_COUNT, slotCount);
            medium.write(0, header);
            medium.storeLong(0, MAGIC);
            WriteCache cache = new WriteCache(medium, PAGE, slotCount, blockSize, false);
            return new WriteCacheFile(file, medium, cache);
        } catch (NoSpaceException e) {
            LOG.warn("there is no write cache: {}", e.getMessage());
            medium.close();
            Files.delete(file);
            return null;
        } catch (IOException | RuntimeException e) {
            medium.close();
            Files.delete(file);
            throw e;
        }
    }

    /**
     * How many blocks a killed process left in a file, whatever held writes it belongs to; 0 if
     * there is none.
     */
    static int countLeft(Path file) throws IOException {
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return 0;
        }
        HeldTableFile.requireOwn(file);
        try (Medium medium = openMedium(file, true);
                Arena memory = Arena.ofConfined()) {
            MemorySegment header = readHeader(medium, memory);
            long slotCount = header.get(U64, SLOT_COUNT);
            int blockSize = (int) header.get(U64, BLOCK_SIZE);
            return header.get(U64, 0) == MAGIC && isCovered(medium, slotCount, blockSize)
                    ? WriteCache.countLeft(medium, PAGE, (int) slotCount, blockSize)
                    : 0;
        }
    }

    WriteCache cache() {
        return cache;
    }

    /** Removes the file, since nothing is cached any more. */
    void remove() throws IOException {
        Files.delete(file);
    }

    @Override
    public void close() throws IOException {
        medium.close();
    }
}
