package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import pmemblk.pool.media.Medium;

/**
 * Bytes that put right what is wrong at some place of a medium.
 *
 * @param offset on the medium, in bytes
 * @param bytes a map entry, or as many as that place has; not changed any more
 */
public record Patch(long offset, MemorySegment bytes) {
    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** A word that somebody may have loaded. */
    public static Patch ofWord(long offset, int word) {
        MemorySegment bytes = MemorySegment.ofArray(new int[1]);
        bytes.set(WORD, 0, word);
        return new Patch(offset, bytes);
    }

    /** Writes the bytes and returns once they are durable. */
    public void apply(Medium medium) throws IOException {
        if (bytes.byteSize() == Integer.BYTES) {
            // Whoever loads words wants them stored whole.
            medium.store(offset, bytes.get(WORD, 0));
        } else {
            medium.write(offset, bytes);
        }
        medium.persist(offset, bytes.byteSize());
    }
}
