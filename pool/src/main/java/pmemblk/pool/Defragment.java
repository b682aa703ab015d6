package pmemblk.pool;

import pmemblk.pool.media.Medium;

/**
 * Whether blocks that writes have parted from their neighbours are brought back beside them while
 * nobody uses the pool: what is read or written there later goes faster, but all that was written
 * here and there is written once more.
 */
public enum Defragment {
    OFF,
    /** Of pools on tmpfs and on persistent memory. */
    MEMORY,
    /** Of pools in ordinary files, too. */
    ALL;

    boolean includes(Medium.Kind kind) {
        return this == ALL || (this == MEMORY && kind != Medium.Kind.FILE);
    }
}
