package pmemblk.pool;

/** The pool is open elsewhere, in this process or another. */
public final class PoolInUseException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolInUseException(String message) {
        super(message);
    }
}
