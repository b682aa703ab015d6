package pmemblk.pool;

/** The pool is of a kind that PMDK knows and this program does not; the message names it. */
public final class UnsupportedPoolException extends PoolException {
    private static final long serialVersionUID = 1;

    UnsupportedPoolException(String message) {
        super(message);
    }
}
