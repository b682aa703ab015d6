package pmemblk.pool.btt;

import java.io.IOException;

/** What was asked for lies in a block that is in the error state. */
public final class ErrorBlockException extends IOException {
    private static final long serialVersionUID = 1;

    private final long block;

    ErrorBlockException(long block) {
        super("block " + block + " is in the error state");
        this.block = block;
    }

    /** The block's number in the pool. */
    public long block() {
        return block;
    }
}
