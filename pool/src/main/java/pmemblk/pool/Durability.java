package pmemblk.pool;

/** When a change of a pool on an ordinary file is durable. On other media each is at once. */
public enum Durability {
    /** With the next flush, or a second later at most; a killed process loses none all the same. */
    ON_FLUSH,
    /** Before the call returns, as in libpmemblk. Calls at the same time share the syncs. */
    EVERY_WRITE
}
