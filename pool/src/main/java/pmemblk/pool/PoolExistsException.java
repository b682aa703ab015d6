package pmemblk.pool;

/** A pool cannot be made where there is something already. */
public final class PoolExistsException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolExistsException(String message) {
        super(message);
    }
}
