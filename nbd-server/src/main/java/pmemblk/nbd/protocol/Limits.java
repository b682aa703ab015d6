package pmemblk.nbd.protocol;

/**
 * Bounds on what a client may send that are not for the operator to set. Each is crossed by a test.
 */
public final class Limits {
    /** Bytes of an export's name: the protocol's bound on every string. */
    public static final int NAME_LENGTH = 4096;

    /** Bytes of a name that an error message repeats. */
    public static final int NAME_SHOWN = 80;

    /** Bytes that a READ or WRITE may carry: the protocol's portable maximum. */
    public static final int PAYLOAD = 32 << 20;

    /**
     * Bytes of an oversized WRITE that are read and thrown away; a longer one ends the session, as
     * does an oversized one in extended headers.
     */
    public static final long SKIPPED_PAYLOAD = 2L * PAYLOAD;

    private Limits() {}
}
