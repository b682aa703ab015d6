package pmemblk.pool;

/** A pool cannot grow to that size, or not in the way that pools grow; nothing was changed. */
public final class GrowthRefusedException extends PoolException {
    private static final long serialVersionUID = 1;

    GrowthRefusedException(String message) {
        super(message);
    }
}
