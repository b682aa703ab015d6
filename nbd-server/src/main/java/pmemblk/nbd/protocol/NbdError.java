package pmemblk.nbd.protocol;

/** Error numbers of replies. */
public enum NbdError {
    /** The client may not do that, as on a read-only export. */
    EPERM(1),
    /** The medium failed. */
    EIO(5),
    /** The server has no memory left for this request. */
    ENOMEM(12),
    /** The request makes no sense. */
    EINVAL(22),
    /** A write beyond the end. */
    ENOSPC(28),
    /** More bytes than one reply carries. */
    EOVERFLOW(75),
    /** It could not be done as fast as the client wants. */
    ENOTSUP(95),
    /** The server is stopping. */
    ESHUTDOWN(108);

    private final int code;

    NbdError(int code) {
        this.code = code;
    }

    public int code() {
        return code;
    }
}
