package pmemblk.pool.btt;

import java.io.IOException;

/** A change was refused because an earlier one could not be made durable; reads go on. */
public final class CommitFailedException extends IOException {
    private static final long serialVersionUID = 1;

    CommitFailedException(Throwable cause) {
        super("takes no changes since a commit failed: " + cause.getMessage(), cause);
    }
}
