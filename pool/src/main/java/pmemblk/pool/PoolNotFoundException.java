package pmemblk.pool;

/** There is no file of that name. */
public final class PoolNotFoundException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolNotFoundException(String message) {
        super(message);
    }
}
