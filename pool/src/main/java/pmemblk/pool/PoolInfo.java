package pmemblk.pool;

import java.nio.file.Path;
import java.util.UUID;

/**
 * What there is to say of an open pool.
 *
 * @param path as given to open
 * @param fileSize bytes of the file, of all parts of a pool set
 * @param blockSize bytes a block, as asked for when the pool was made
 * @param blockCount blocks that can be read and written
 * @param uuid of the pool, as {@code pmempool info} prints it
 * @param laneCount how many blocks can be written at the same time
 * @param readOnly whether changes are refused
 * @param medium what the pool lies on
 * @param afterKill what is still there after the process was killed
 * @param afterPowerCut what is still there after the machine lost power
 */
public record PoolInfo(
        Path path,
        long fileSize,
        int blockSize,
        long blockCount,
        UUID uuid,
        int arenaCount,
        int laneCount,
        boolean readOnly,
        String medium,
        String afterKill,
        String afterPowerCut) {}
