package pmemblk.pool;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import pmemblk.pool.btt.BttSite;
import pmemblk.pool.btt.Geometry;
import pmemblk.pool.btt.TableCopy;
import pmemblk.pool.media.LockedFile;
import pmemblk.pool.media.Medium;

/**
 * Makes a pool larger, by a copy beside it that takes its place.
 *
 * <p>The format allows two ways to grow without moving data, and neither is safe. The last arena
 * must reach to the end of the pool, where its backup info block lies, and keeps its map and flog
 * there: they could be copied to a new end, and the old ones become data. And if every arena has
 * its full 512 GiB, another one could be laid out behind the last. Either way the primary info
 * block of an arena that holds data has to change in two places at once, its offsets at the
 * beginning and its checksum at the end, which lie in two sectors. A power cut between them leaves
 * a block that fails its checksum, and libpmemblk, which reads no backup, then takes the pool for
 * an empty one and overwrites its map.
 *
 * <p>So the old pool is left as it is, and locked, until the copy is durable and takes its name by
 * rename(2), which the file system makes one step. The copy has no header before all else of it is
 * durable, and is no pool until then. What a killed growth leaves behind has a name of its own
 * beside the pool, and is removed by the next one. Both files stay locked until the new name is
 * durable; who opened the old file and waited with locking it finds it replaced.
 */
public final class PoolGrowth {
    private static final int PERMISSIONS = 07777;
    private static final String IDENTITY = "unix:dev,ino";

    private final Path path;
    private final Path copy;
    private final long size;
    private final PoolOptions options;
    private final Progress progress;

    private PoolGrowth(Path path, long size, PoolOptions options, Progress progress) {
        this.path = path;
        this.copy = path.resolveSibling("." + path.getFileName() + ".growing");
        this.size = size;
        // A write cache would keep what the copy has to have.
        this.options = options.withDurability(Durability.EVERY_WRITE).withWriteCacheSize(0);
        this.progress = progress;
    }

    /**
     * Makes a pool that is not open larger, with all that its blocks hold. Whenever the process or
     * the machine stops, the pool is there, as small as before or as large as it gets.
     *
     * @param size bytes of the new file, for which there has to be room beside the old one
     * @param options block size, and where a killed server may have left held writes, which are
     *     taken over; the rest does not matter
     * @param progress hears of the bytes of all blocks, though those that read as zeroes take none
     * @throws GrowthRefusedException if the pool cannot grow to that size, or not in this way
     */
    public static void grow(Path path, long size, PoolOptions options, Progress progress)
            throws IOException {
        Path real;
        try {
            // A rename would replace a symbolic link, and not what it names.
            real = path.toRealPath();
        } catch (IOException e) {
            throw PoolFiles.translated(path, e);
        }
        new PoolGrowth(real, size, options, progress).run();
    }

    private void run() throws IOException {
        PoolParts parts = PoolParts.open(path, false);
        boolean sparse;
        try {
            requireGrowable(parts);
            sparse = parts.parts().getFirst().file().isSparse();
        } catch (IOException | RuntimeException e) {
            parts.closeAfter(e);
            throw e;
        }
        try (BlockPool old = BlockPool.opened(path, PoolFiles.of(parts, false), options)) {
            requireMoreBlocks(old);
            removeLeftOver(old.info().uuid());
            fillAndReplace(old, create(sparse));
        }
    }

    private void requireGrowable(PoolParts parts) throws IOException {
        if (parts.set() != null) {
            throw new GrowthRefusedException(
                    path
                            + " is a pool set, which cannot grow; make a larger pool and copy it"
                            + " there with nbdcopy");
        }
        if (parts.parts().getFirst().file().linkCount() > 1) {
            throw new GrowthRefusedException(
                    path
                            + " has another name (a hard link), which would stay that of the old"
                            + " pool; remove one of them");
        }
        PoolCheck check = CheckRun.of(parts, options, Progress.NONE).result(List.of(), List.of());
        if (!check.isConsistent()) {
            throw new CorruptPoolException(
                    check.damage().getFirst().message() + "; check and repair it before it grows");
        }
    }

    private void requireMoreBlocks(BlockPool old) throws PoolException {
        if (old.isReadOnly()) {
            throw new GrowthRefusedException(
                    path + " has features that are not known here, and would lose them");
        }
        String failure = old.failureReason();
        if (failure != null) {
            throw new GrowthRefusedException(path + " cannot grow: " + failure);
        }
        PoolMaker.requirePoolSize(path, size, old.blockSize());
        long blockCount =
                Geometry.blockCount(size / 4096 * 4096 - BlockPool.TABLE_OFFSET, old.blockSize());
        if (blockCount <= old.blockCount()) {
            throw new GrowthRefusedException(
                    "%s has %d blocks, and %d bytes hold %d; choose a larger size"
                            .formatted(path, old.blockCount(), size, blockCount));
        }
    }

    /** Removes what a growth that was killed left behind, and nothing else. */
    private void removeLeftOver(UUID poolsetUuid) throws IOException {
        if (Files.exists(copy, LinkOption.NOFOLLOW_LINKS)) {
            if (!isLeftOver(poolsetUuid)) {
                throw new GrowthRefusedException(
                        copy + " is in the way and was not left by growing; move it elsewhere");
            }
            Files.delete(copy);
        }
    }

    private boolean isLeftOver(UUID poolsetUuid) throws IOException {
        if (!Files.isRegularFile(copy, LinkOption.NOFOLLOW_LINKS)) {
            return false;
        }
        MemorySegment header = MemorySegment.ofArray(new long[PoolHeader.SIZE / Long.BYTES]);
        try (InputStream in = new FileInputStream(copy.toFile())) {
            byte[] bytes = in.readNBytes(PoolHeader.SIZE);
            header.copyFrom(MemorySegment.ofArray(bytes));
        }
        MemorySegment zeroes = MemorySegment.ofArray(new byte[PoolHeader.SIZE]);
        return header.mismatch(zeroes) < 0
                || (PoolHeader.problem(header) == null
                        && PoolHeader.read(header).poolsetUuid().equals(poolsetUuid));
    }

    private LockedFile create(boolean sparse) throws IOException {
        try {
            return sparse ? LockedFile.createSparse(copy, size) : LockedFile.create(copy, size);
        } catch (IOException e) {
            throw new PoolFileException(
                    "%s; to grow, there has to be room for the new pool beside the old one"
                            .formatted(PoolFiles.translated(copy, e).getMessage()),
                    e);
        }
    }

    private void fillAndReplace(BlockPool old, LockedFile file) throws IOException {
        try (Medium medium = PoolParts.mediumOf(file)) {
            Map<String, Object> identity = Files.readAttributes(path, IDENTITY);
            fill(old, medium);
            takeOwnerAndMode(file);
            file.syncWithName();
            // After this nothing of the old pool has to become durable any more.
            old.flush();
            if (!identity.equals(Files.readAttributes(path, IDENTITY))) {
                throw new PoolFileException(path + " was replaced while it grew", null);
            }
            Files.move(copy, path, StandardCopyOption.ATOMIC_MOVE);
            file.syncWithName();
        } catch (IOException | RuntimeException e) {
            removeCopy(e);
            throw e;
        } catch (InternalError e) {
            removeCopy(e);
            throw BlockPool.missingPage(copy, e);
        }
    }

    /** Removes the copy, unless it has become the pool. */
    private void removeCopy(Throwable failure) {
        try {
            Files.deleteIfExists(copy);
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    private void fill(BlockPool old, Medium medium) throws IOException {
        PoolHeader header = PoolHeader.ofSingleFile(old.info().uuid(), UUID.randomUUID());
        BttSite site = PoolMaker.writeTable(medium, header, old.blockSize(), true);
        long total = old.byteSize();
        TableCopy.copy(old.table().table(), site, byteCount -> progress.advanced(byteCount, total));
        medium.persist(0, medium.size());
        PoolMaker.writeHeader(medium, header);
    }

    private void takeOwnerAndMode(LockedFile file) throws IOException {
        for (String attribute : List.of("unix:uid", "unix:gid")) {
            Object wanted = Files.getAttribute(path, attribute);
            if (!wanted.equals(Files.getAttribute(copy, attribute))) {
                Files.setAttribute(copy, attribute, wanted);
            }
        }
        file.changeMode((int) Files.getAttribute(path, "unix:mode") & PERMISSIONS);
    }
}
