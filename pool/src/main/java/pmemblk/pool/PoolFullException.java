package pmemblk.pool;

/** The file system has no place for bytes of the pool; nothing else is wrong. */
public final class PoolFullException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolFullException(String message, Throwable cause) {
        super(message, cause);
    }
}
