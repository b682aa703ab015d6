package pmemblk.pool;

/**
 * Another program changed the pool between the kill of a process and this open, so that the writes
 * which the process left behind cannot be told from older ones. Nothing was changed.
 */
public final class PoolChangedException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolChangedException(String message) {
        super(message);
    }
}
