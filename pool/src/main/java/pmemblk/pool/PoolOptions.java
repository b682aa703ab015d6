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
 */
public record PoolOptions(
        int blockSize, boolean readOnly, Durability durability, Path heldWritesDirectory) {

    public static final PoolOptions DEFAULT =
            new PoolOptions(0, false, Durability.EVERY_WRITE, Path.of("/dev/shm"));

    public PoolOptions withBlockSize(int newBlockSize) {
        return new PoolOptions(newBlockSize, readOnly, durability, heldWritesDirectory);
    }

    public PoolOptions withReadOnly(boolean newReadOnly) {
        return new PoolOptions(blockSize, newReadOnly, durability, heldWritesDirectory);
    }

    public PoolOptions withDurability(Durability newDurability) {
        return new PoolOptions(blockSize, readOnly, newDurability, heldWritesDirectory);
    }

    public PoolOptions withHeldWritesDirectory(Path newDirectory) {
        return new PoolOptions(blockSize, readOnly, durability, newDirectory);
    }
}
