package pmemblk.pool.btt;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * How a new translation table divides its bytes into arenas, and an arena into blocks, map and
 * flog. Serves for tables that are yet to be laid out; all others say so themselves.
 */
public final class Geometry {
    static final long MIN_ARENA_SIZE = 1L << 24;
    static final long MAX_ARENA_SIZE = 1L << 39;

    private static final long ALIGNMENT = 4096;
    private static final long MIN_INTERNAL_LBA_SIZE = 512;
    private static final long INTERNAL_LBA_ALIGNMENT = 256;

    private Geometry() {}

    /**
     * Why there can be no table of this block size in {@code rawSize} bytes, or null if there can.
     *
     * @param blockSize bytes, at least 1
     */
    public static @Nullable String problem(long rawSize, long blockSize) {
        if (rawSize < MIN_ARENA_SIZE) {
            return "%d bytes are less than the smallest arena of %d"
                    .formatted(rawSize, MIN_ARENA_SIZE);
        }
        for (long size : arenaSizes(rawSize)) {
            if (internalNlba(size, blockSize) < 2 * InfoBlock.NFREE) {
                return "an arena of %d bytes holds %d blocks of %d bytes, and needs %d"
                        .formatted(
                                size,
                                Math.max(0, internalNlba(size, blockSize)),
                                blockSize,
                                2 * InfoBlock.NFREE);
            }
        }
        return null;
    }

    /** The blocks that a table without {@link #problem} has. */
    public static long blockCount(long rawSize, int blockSize) {
        return arenaSizes(rawSize).stream()
                .mapToLong(size -> internalNlba(size, blockSize) - InfoBlock.NFREE)
                .sum();
    }

    static List<InfoBlock> arenas(long rawSize, int blockSize, UUID uuid, UUID parentUuid) {
        List<Long> sizes = arenaSizes(rawSize);
        List<InfoBlock> arenas = new ArrayList<>();
        for (int i = 0; i < sizes.size(); i++) {
            boolean last = i == sizes.size() - 1;
            arenas.add(arena(sizes.get(i), blockSize, uuid, parentUuid, last));
        }
        return arenas;
    }

    private static InfoBlock arena(
            long size, int blockSize, UUID uuid, UUID parentUuid, boolean last) {
        int internalNlba = (int) internalNlba(size, blockSize);
        int externalNlba = internalNlba - InfoBlock.NFREE;
        long infoOffset = size - InfoBlock.SIZE;
        long flogOffset = infoOffset - flogSize();
        long mapOffset = flogOffset - roundUp((long) externalNlba * MapEntry.SIZE, ALIGNMENT);
        return new InfoBlock(
                uuid,
                parentUuid,
                false,
                blockSize,
                externalNlba,
                (int) internalLbaSize(blockSize),
                internalNlba,
                InfoBlock.NFREE,
                last ? 0 : size,
                InfoBlock.SIZE,
                mapOffset,
                flogOffset,
                infoOffset);
    }

    private static List<Long> arenaSizes(long rawSize) {
        List<Long> sizes = new ArrayList<>();
        for (long left = rawSize; left >= MIN_ARENA_SIZE; ) {
            long size = Math.min(left, MAX_ARENA_SIZE);
            sizes.add(size);
            left -= size;
        }
        return sizes;
    }

    private static long internalNlba(long arenaSize, long blockSize) {
        long available = arenaSize - 2 * InfoBlock.SIZE - flogSize();
        return (available - ALIGNMENT) / (internalLbaSize(blockSize) + MapEntry.SIZE);
    }

    private static long internalLbaSize(long blockSize) {
        return roundUp(Math.max(blockSize, MIN_INTERNAL_LBA_SIZE), INTERNAL_LBA_ALIGNMENT);
    }

    private static long flogSize() {
        return roundUp((long) InfoBlock.NFREE * Flog.PAIR_STRIDE, ALIGNMENT);
    }

    private static long roundUp(long value, long alignment) {
        return (value + alignment - 1) / alignment * alignment;
    }
}
