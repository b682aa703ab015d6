package pmemblk.pool;

/** What the file holds is not a sound pool; nothing of it was changed. */
public final class CorruptPoolException extends PoolException {
    private static final long serialVersionUID = 1;

    CorruptPoolException(String message) {
        super(message);
    }
}
