package pmemblk.pool;

/** A part of the pool takes no changes any more; it can still be read. */
public final class ArenaErrorException extends PoolException {
    private static final long serialVersionUID = 1;

    ArenaErrorException(String message) {
        super(message);
    }
}
