package pmemblk.pool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.btt.BlockTranslationTable;
import pmemblk.pool.btt.BttSite;
import pmemblk.pool.btt.Geometry;
import pmemblk.pool.media.LockedFile;
import pmemblk.pool.media.Medium;

/**
 * Makes a pool in a new file, or in one that somebody prepared.
 *
 * <p>The layout becomes durable first and the header last: a file is a whole pool, or has no
 * header.
 */
final class PoolMaker {
    private static final int PAGE = 4096;

    private PoolMaker() {}

    /**
     * Makes a pool.
     *
     * @param poolSize bytes of the file to be made; 0 takes the file that is there
     * @return the file, open and locked; whoever called closes the medium
     */
    static PoolFiles make(Path path, int blockSize, long poolSize, int mode) throws IOException {
        requireBlockSize(blockSize);
        if (poolSize != 0) {
            requirePoolSize(path, poolSize, blockSize);
        }
        boolean made = poolSize != 0;
        LockedFile file;
        try {
            file = made ? LockedFile.create(path, poolSize) : LockedFile.open(path, false);
        } catch (NoSuchFileException e) {
            throw made
                    ? new PoolNotFoundException(
                            "the directory of " + path + " does not exist; make it first")
                    : PoolFiles.translated(path, e);
        } catch (IOException e) {
            throw PoolFiles.translated(path, e);
        }
        Medium medium = null;
        try {
            if (!made) {
                requirePoolSize(path, file.size(), blockSize);
            }
            medium = file.medium();
            if (!made) {
                requireBlank(path, medium);
            }
            PoolHeader header = write(medium, blockSize, made);
            if (made) {
                file.changeMode(mode);
            }
            file.syncWithName();
            return new PoolFiles(path, medium, header, file.size(), file.isSparse(), false);
        } catch (IOException e) {
            abandon(medium, file, made, e);
            throw PoolFiles.translated(path, e);
        } catch (RuntimeException e) {
            abandon(medium, file, made, e);
            throw e;
        } catch (InternalError e) {
            abandon(medium, file, made, e);
            throw BlockPool.missingPage(path, e);
        }
    }

    private static void requireBlockSize(int blockSize) throws BlockSizeException {
        if (blockSize < 1) {
            throw new BlockSizeException(
                    "block size %d: expected at least 1, and usually 512 or 4096"
                            .formatted(blockSize));
        }
    }

    /** Sees that a file of that size can hold a pool of such blocks. */
    static void requirePoolSize(Path path, long size, int blockSize) throws PoolTooSmallException {
        if (size / PAGE * PAGE < BlockPool.MIN_POOL_SIZE) {
            throw new PoolTooSmallException(
                    "%s: a pool of %d bytes is too small; the smallest has %d (16 MiB and 8 KiB)"
                            .formatted(path, size, BlockPool.MIN_POOL_SIZE));
        }
        String problem = Geometry.problem(size / PAGE * PAGE - BlockPool.TABLE_OFFSET, blockSize);
        if (problem != null) {
            throw new PoolTooSmallException(
                    "%s: a pool of %d bytes is too small for blocks of %d: %s; choose a larger pool"
                                    .formatted(path, size, blockSize, problem)
                            + " or smaller blocks");
        }
    }

    private static void requireBlank(Path path, Medium medium) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment page = memory.allocate(PAGE);
            medium.read(0, page);
            if (page.mismatch(MemorySegment.ofArray(new byte[PAGE])) >= 0) {
                throw new PoolExistsException(
                        path
                                + " does not begin with 4096 zero bytes: it may hold a pool or"
                                + " other data; choose another file, or clear it first");
            }
        }
    }

    private static PoolHeader write(Medium medium, int blockSize, boolean zeroed)
            throws IOException {
        PoolHeader header = PoolHeader.ofSingleFile(UUID.randomUUID(), UUID.randomUUID());
        writeTable(medium, header, blockSize, zeroed);
        writeHeader(medium, header);
        return header;
    }

    /**
     * Writes all that makes an empty pool but the header.
     *
     * @param zeroed whether the bytes of the medium are known to be zero
     * @return where the table lies
     */
    static BttSite writeTable(Medium medium, PoolHeader header, int blockSize, boolean zeroed)
            throws IOException {
        BttSite site = new BttSite(medium, BlockPool.TABLE_OFFSET, header.poolsetUuid(), blockSize);
        BlockTranslationTable.format(site, zeroed);
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment block = memory.allocate(PAGE, Long.BYTES);
            new PoolDescriptor(blockSize, zeroed).write(block);
            medium.write(PoolDescriptor.OFFSET, block);
            medium.persist(PoolDescriptor.OFFSET, PAGE);
        }
        return site;
    }

    /** Makes a pool of all that was written before, which is durable. */
    static void writeHeader(Medium medium, PoolHeader header) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment block = memory.allocate(PAGE, Long.BYTES);
            header.write(block, Instant.now().getEpochSecond());
            medium.write(0, block);
            medium.persist(0, PAGE);
        }
    }

    /** Closes a file of which no pool was made, and removes it if it was made for that. */
    private static void abandon(
            @Nullable Medium medium, LockedFile file, boolean made, Throwable failure) {
        try {
            if (made) {
                Files.deleteIfExists(file.path());
            }
            if (medium == null) {
                file.close();
            } else {
                medium.close();
            }
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }
}
