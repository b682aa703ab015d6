package pmemblk.pool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.btt.Guid;
import pmemblk.pool.btt.HeldTable;
import pmemblk.pool.media.LockedFile;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.NoSpaceException;

/**
 * The file on tmpfs that holds a pool's {@link HeldTable}, and the mark in the pool that ties the
 * two together.
 *
 * <pre>
 * file   0  magic      mark in the pool, in the descriptor's scratch area
 *        8  pool uuid         0  nonce
 *       24  boot id           8  boot id
 *       40  nonce
 *     4096  slots
 * </pre>
 *
 * <p>A table speaks of its pool as long as the machine has not been started again and nobody else
 * has opened the pool for writing. The latter shows in the mark: libpmemblk keeps addresses where
 * the nonce lies, and no address has the sign bit that every nonce has.
 */
final class HeldTableFile implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HeldTableFile.class);

    private static final long MAGIC = 0x3144_4c45_484d_4250L; // PBMHELD1
    private static final int PAGE = 4096;
    private static final long UUID_OFFSET = 8;
    private static final long BOOT_ID_OFFSET = 24;
    private static final long NONCE_OFFSET = 40;

    private static final long MARK_OFFSET = PoolDescriptor.OFFSET + PoolDescriptor.SCRATCH;
    private static final int MARK_SIZE = 24;
    private static final long MARK_BOOT_ID = 8;

    private static final ValueLayout.OfLong U64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final Medium medium;
    private final PoolFiles pool;

    private HeldTableFile(Path file, Medium medium, PoolFiles pool) {
        this.file = file;
        this.medium = medium;
        this.pool = pool;
    }

    /**
     * Finds the table that a killed process left behind for a pool, or makes one if changes are to
     * be held; null if there is none and need not be one.
     *
     * @throws PoolChangedException if there is one whose writes can no longer be taken over
     */
    static @Nullable HeldTableFile open(Path path, PoolFiles pool, PoolOptions options)
            throws IOException {
        if (pool.medium().kind() != Medium.Kind.FILE) {
            return null;
        }
        Path file = options.heldWritesDirectory().resolve(name(pool));
        HeldTableFile left = openLeft(path, file, pool);
        if (left != null) {
            return left;
        }
        if (!pool.readOnly()) {
            WriteCacheFile.removeStale(cacheFile(file));
        }
        if (!pool.readOnly() && hasMarkOfThisBoot(pool)) {
            LOG.warn(
                    "{} was in use when its server was killed, and {} is gone, which held the"
                            + " writes that were not flushed: they are lost",
                    path,
                    file);
            removeMark(pool);
        }
        boolean wanted = !pool.readOnly() && options.durability() == Durability.ON_FLUSH;
        return wanted ? make(file, pool) : null;
    }

    private static String name(PoolFiles pool) throws IOException {
        Object inode = Files.getAttribute(pool.firstFile(), "unix:ino");
        Object device = Files.getAttribute(pool.firstFile(), "unix:dev");
        return "pmemblk-nbd-%s-%s-%s".formatted(pool.header().poolsetUuid(), device, inode);
    }

    private static @Nullable HeldTableFile openLeft(Path path, Path file, PoolFiles pool)
            throws IOException {
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return null;
        }
        requireOwn(file);
        HeldTableFile left;
        try {
            left = new HeldTableFile(file, LockedFile.open(file, pool.readOnly()).medium(), pool);
        } catch (IOException e) {
            throw PoolFiles.translated(file, e);
        }
        boolean keep = false;
        try {
            keep = left.belongs(path);
        } finally {
            if (!keep) {
                left.medium.close();
            }
        }
        if (!keep && !pool.readOnly()) {
            Files.delete(file);
        }
        return keep ? left : null;
    }

    /** In a folder that all may write to, a file of that name may be somebody else's. */
    static void requireOwn(Path file) throws IOException {
        Object owner = Files.getAttribute(file, "unix:uid", LinkOption.NOFOLLOW_LINKS);
        boolean regular = Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS);
        if (!regular || !owner.equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"))) {
            throw new PoolChangedException(
                    file
                            + " is not a file of this user, so what it says of held writes is not"
                            + " believed; see who made it, and remove it");
        }
    }

    /** Whether the table speaks of the pool as it is; false if nothing would be lost without it. */
    private boolean belongs(Path path) throws IOException {
        if (medium.size() < PAGE + HeldTable.size(0)) {
            return false;
        }
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment header = memory.allocate(PAGE);
            medium.read(0, header);
            MemorySegment mark = readMark(memory, pool);
            boolean thisBoot =
                    header.get(U64, 0) == MAGIC
                            && Guid.read(header, BOOT_ID_OFFSET).equals(bootId());
            if (!thisBoot) {
                return false;
            }
            if (header.get(U64, NONCE_OFFSET) == mark.get(U64, 0)) {
                return true;
            }
            boolean noneCached = WriteCacheFile.countLeft(cacheFile()) == 0;
            if (noneCached && table().isEmpty()) {
                return false;
            }
            throw new PoolChangedException(
                    path
                            + " was changed by another program since its server was killed, and "
                            + (noneCached ? file : cacheFile())
                            + " holds writes of before, which were acknowledged and not flushed;"
                            + " to give those up, remove that file");
        }
    }

    private static HeldTableFile make(Path file, PoolFiles pool) throws IOException {
        Medium medium;
        long size = PAGE + HeldTable.size(HeldTable.MAX_LINES);
        try {
            medium = LockedFile.create(file, size).medium();
        } catch (NoSpaceException e) {
            throw new PoolFileException(
                    "%s: no room for an account of held writes, of %d bytes; make room there, or ask"
                                    .formatted(file, size)
                            + " for every write to be durable",
                    e);
        } catch (IOException e) {
            throw PoolFiles.translated(file, e);
        }
        if (medium.kind() != Medium.Kind.TMPFS) {
            medium.close();
            Files.delete(file);
            throw new PoolFileException(
                    file
                            + " does not lie on tmpfs, where an account of held writes costs no"
                            + " syncs; mount one there, or ask for every write to be durable",
                    null);
        }
        long nonce = ThreadLocalRandom.current().nextLong() | Long.MIN_VALUE;
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment header = memory.allocate(PAGE);
            header.set(U64, 0, MAGIC);
            Guid.write(header, UUID_OFFSET, pool.header().poolsetUuid());
            Guid.write(header, BOOT_ID_OFFSET, bootId());
            header.set(U64, NONCE_OFFSET, nonce);
            medium.write(0, header);
            MemorySegment mark = memory.allocate(MARK_SIZE);
            mark.set(U64, 0, nonce);
            Guid.write(mark, MARK_BOOT_ID, bootId());
            pool.medium().write(MARK_OFFSET, mark);
        } catch (IOException | RuntimeException e) {
            medium.close();
            Files.delete(file);
            throw e;
        }
        return new HeldTableFile(file, medium, pool);
    }

    /** Where the pool's {@link WriteCacheFile} lies, if it has one. */
    Path cacheFile() {
        return cacheFile(file);
    }

    private static Path cacheFile(Path file) {
        return file.resolveSibling(file.getFileName() + "-cache");
    }

    /** The number of this file, which the mark in the pool has, too. */
    long nonce() throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment header = memory.allocate(PAGE);
            medium.read(0, header);
            return header.get(U64, NONCE_OFFSET);
        }
    }

    HeldTable table() {
        return new HeldTable(medium, PAGE);
    }

    /** Removes table and mark, since nothing is held any more. */
    void remove() throws IOException {
        removeMark(pool);
        Files.delete(file);
    }

    private static void removeMark(PoolFiles pool) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            pool.medium().write(MARK_OFFSET, memory.allocate(MARK_SIZE));
        }
    }

    @Override
    public void close() throws IOException {
        medium.close();
    }

    private static boolean hasMarkOfThisBoot(PoolFiles pool) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment mark = readMark(memory, pool);
            return mark.get(U64, 0) < 0 && Guid.read(mark, MARK_BOOT_ID).equals(bootId());
        }
    }

    private static MemorySegment readMark(Arena memory, PoolFiles pool) throws IOException {
        MemorySegment mark = memory.allocate(MARK_SIZE);
        pool.medium().read(MARK_OFFSET, mark);
        return mark;
    }

    private static UUID bootId() throws IOException {
        return UUID.fromString(
                Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip());
    }
}
