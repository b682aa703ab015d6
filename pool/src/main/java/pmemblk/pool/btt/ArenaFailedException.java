package pmemblk.pool.btt;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** A change was refused because its arena is in error; what it holds can still be read. */
public final class ArenaFailedException extends IOException {
    private static final long serialVersionUID = 1;

    ArenaFailedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
