package pmemblk.pool;

/**
 * The pool takes no changes any more because the device failed to make earlier ones durable. It can
 * still be read; what was flushed is there when it is opened again.
 */
public final class PoolFailedException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolFailedException(String message, Throwable cause) {
        super(message, cause);
    }
}
