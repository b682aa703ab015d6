package pmemblk.pool;

/** What a block holds. */
public enum BlockState {
    /** What was written last. */
    DATA,
    /** Zeroes: it was never written, or zeroed since. */
    ZERO,
    /** Nothing that can be read, until it is written or zeroed. */
    ERROR
}
