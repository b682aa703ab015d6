package pmemblk.pool;

/** Too few bytes for a pool, or too few for blocks of that size. */
public final class PoolTooSmallException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolTooSmallException(String message) {
        super(message);
    }
}
