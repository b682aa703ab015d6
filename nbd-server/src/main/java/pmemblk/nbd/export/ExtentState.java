package pmemblk.nbd.export;

/** What a part of a disk holds. */
public enum ExtentState {
    /** Bytes, whatever they are. */
    DATA,
    /** Zeroes, known without reading them. */
    ZERO,
    /** Nothing that can be read, until it is written. */
    ERROR
}
