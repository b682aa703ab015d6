package pmemblk.pool;

/** The pool takes no changes because of the way it was opened. */
public final class ReadOnlyPoolException extends PoolException {
    private static final long serialVersionUID = 1;

    ReadOnlyPoolException(String message) {
        super(message);
    }
}
