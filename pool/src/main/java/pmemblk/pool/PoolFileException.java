package pmemblk.pool;

import org.jspecify.annotations.Nullable;

/** The operating system refused what was to be done with a file of the pool. */
public final class PoolFileException extends PoolException {
    private static final long serialVersionUID = 1;

    PoolFileException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
