package pmemblk.pool;

import java.nio.file.Path;

/**
 * How a pool is opened.
 *
 * @param blockSize the block size it must have, in bytes; 0 takes any
 * @param readOnly whether nothing may be changed, in which case read permission is enough
 * @param durability when changes are durable
 * @param heldWritesDirectory a folder on tmpfs, where {@link Durability#ON_FLUSH} keeps account of
 *     the changes that are not durable yet, so that they outlive the process
 * @param writeCacheSize bytes in that folder, at most, for blocks that were written and not
 *     flushed; only with {@link Durability#ON_FLUSH}, on ordinary files without holes
 * @param defragment whether blocks are brought back beside their neighbours
 */
public record PoolOptions(
        int blockSize,
        boolean readOnly,
        Durability durability,
        Path heldWritesDirectory,
        long writeCacheSize,
        Defragment defragment) {

    public static final PoolOptions DEFAULT =
            new PoolOptions(
                    0, false, Durability.EVERY_WRITE, Path.of("/dev/shm"), 0, Defragment.OFF);

    public PoolOptions withBlockSize(int newBlockSize) {
        return new PoolOptions(
                newBlockSize,
                readOnly,
                durability,
                heldWritesDirectory,
                writeCacheSize,
                defragment);
    }

    public PoolOptions withReadOnly(boolean newReadOnly) {
        return new PoolOptions(
                blockSize,
                newReadOnly,
                durability,
                heldWritesDirectory,
                writeCacheSize,
                defragment);
    }

    public PoolOptions withDurability(Durability newDurability) {
        return new PoolOptions(
                blockSize,
                readOnly,
                newDurability,
                heldWritesDirectory,
                writeCacheSize,
                defragment);
    }

    public PoolOptions withHeldWritesDirectory(Path newDirectory) {
        return new PoolOptions(
                blockSize, readOnly, durability, newDirectory, writeCacheSize, defragment);
    }

    public PoolOptions withWriteCacheSize(long newSize) {
        return new PoolOptions(
                blockSize, readOnly, durability, heldWritesDirectory, newSize, defragment);
    }

    public PoolOptions withDefragment(Defragment newDefragment) {
        return new PoolOptions(
                blockSize,
                readOnly,
                durability,
                heldWritesDirectory,
                writeCacheSize,
                newDefragment);
    }
}
