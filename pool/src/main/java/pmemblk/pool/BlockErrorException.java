package pmemblk.pool;

/** A block is in the error state: it cannot be read, in whole or part, until it is written. */
public final class BlockErrorException extends PoolException {
    private static final long serialVersionUID = 1;

    private final long block;

    BlockErrorException(String message, long block) {
        super(message);
        this.block = block;
    }

    /** The number of the block. */
    public long block() {
        return block;
    }
}
