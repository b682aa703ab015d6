package pmemblk.pool;

/** Hears how a long call on a pool comes on; from any thread, and from several at once. */
@FunctionalInterface
public interface Progress {
    /** Hears nothing. */
    Progress NONE = (byteCount, totalByteCount) -> {};

    /** {@code byteCount} more bytes are done, of {@code totalByteCount} in the whole call. */
    void advanced(long byteCount, long totalByteCount);
}
