package pmemblk.pool;

/** The block size is not one that there can be, or not the pool's. */
public final class BlockSizeException extends PoolException {
    private static final long serialVersionUID = 1;

    BlockSizeException(String message) {
        super(message);
    }
}
