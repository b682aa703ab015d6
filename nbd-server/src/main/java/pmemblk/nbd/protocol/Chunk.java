package pmemblk.nbd.protocol;

/** One chunk of a structured or extended reply. */
public sealed interface Chunk {

    /** All went well, and there is no more to say. */
    record None() implements Chunk {}

    /**
     * Data, which the caller puts behind the chunk.
     *
     * @param offset where it lies in the export
     * @param length bytes, at least 1
     */
    record Data(long offset, int length) implements Chunk {
        /** Bytes between the header and the data. */
        public static final int PREFIX_SIZE = Long.BYTES;
    }

    /**
     * Zeroes that are not sent.
     *
     * @param offset where they lie in the export
     * @param length bytes, at least 1
     */
    record Hole(long offset, int length) implements Chunk {
        /** Bytes behind the header. */
        public static final int SIZE = Long.BYTES + Integer.BYTES;
    }

    /**
     * What a metadata context says, as so many descriptors that the caller puts behind the chunk.
     *
     * @param count at least 1
     */
    record BlockStatus(int contextId, int count) implements Chunk {}

    /**
     * The request failed.
     *
     * @param message for a person, at most {@link Limits#NAME_LENGTH} bytes
     */
    record Failure(NbdError error, String message) implements Chunk {}

    /**
     * A READ failed here; what other chunks carry is right.
     *
     * @param message for a person, at most {@link Limits#NAME_LENGTH} bytes
     * @param offset in the export
     */
    record FailureAt(NbdError error, String message, long offset) implements Chunk {}
}
