package pmemblk.pool.btt;

import java.util.UUID;
import pmemblk.pool.media.Medium;

/**
 * Where a table lies, or is to lie.
 *
 * @param base its first byte on the medium, a multiple of 4096
 * @param parentUuid the pool set's, which every info block repeats
 * @param blockSize bytes a block, at least 1
 */
public record BttSite(Medium medium, long base, UUID parentUuid, int blockSize) {

    /** The bytes there are for arenas. */
    long rawSize() {
        return medium.size() / 4096 * 4096 - base;
    }
}
