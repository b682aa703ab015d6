package pmemblk.pool;

/**
 * How a pool is opened.
 *
 * @param blockSize the block size it must have, in bytes; 0 takes any
 * @param readOnly whether nothing may be changed, in which case read permission is enough
 */
public record PoolOptions(int blockSize, boolean readOnly) {
    public static final PoolOptions DEFAULT = new PoolOptions(0, false);

    public PoolOptions withBlockSize(int newBlockSize) {
        return new PoolOptions(newBlockSize, readOnly);
    }

    public PoolOptions withReadOnly(boolean newReadOnly) {
        return new PoolOptions(blockSize, newReadOnly);
    }
}
