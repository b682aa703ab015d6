package pmemblk.nbd.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A disk: bytes from 0 to below the size that {@link #info} says. Thread-safe.
 *
 * <p>Ranges lie within the disk, and nothing is asked for that {@link #info} denies; the caller
 * sees to both. A buffer is used during the call alone, from its position to its limit. An {@link
 * IOException} concerns the one request; an {@link ExportFullException} says that there was no
 * place for its bytes.
 */
public interface Export extends AutoCloseable {

    /** What this export is; always the same. */
    ExportInfo info();

    /** Why this export takes no changes any more, for a person; null if it is well. */
    @Nullable String failureReason();

    /**
     * Whether a write, zero or trim may take long just now. Cheap, and only advice.
     *
     * @param length bytes
     * @param fua whether a flush follows it
     */
    boolean writeMayBlock(long length, boolean fua);

    /**
     * Whether every write is to be carried out as if it had FUA, by {@link #writeThrough} and
     * {@link #flushAsync}, since {@link #write} would flush each by itself; always the same.
     */
    default boolean writesAreFua() {
        return false;
    }

    /** Fills {@code target} with the bytes from {@code offset} on. */
    void read(long offset, ByteBuffer target) throws IOException;

    /**
     * Does what {@link #read} does if that does not take long just now; else returns false, and
     * {@code target} may hold some of the bytes but is still to be filled.
     */
    boolean readNow(long offset, ByteBuffer target) throws IOException;

    /**
     * Tells what a range holds, as far as that is known without reading it, and of each byte as it
     * is at some moment during the call.
     */
    default void extents(long offset, long length, ExtentVisitor visitor) throws IOException {
        if (length > 0) {
            visitor.extent(ExtentState.DATA, length);
        }
    }

    /**
     * Does what {@link #extents} does if that does not take long just now; else returns false, the
     * visitor having been told of nothing.
     */
    default boolean extentsNow(long offset, long length, ExtentVisitor visitor) throws IOException {
        extents(offset, length, visitor);
        return true;
    }

    /** Writes the bytes of {@code source}. */
    void write(long offset, ByteBuffer source) throws IOException;

    /**
     * Does what {@link #write} does if that does not take long just now; else returns false, and
     * some of the bytes may be written but all are still to be.
     */
    default boolean writeNow(long offset, ByteBuffer source) throws IOException {
        if (writeMayBlock(source.remaining(), false)) {
            return false;
        }
        write(offset, source);
        return true;
    }

    /** Writes as {@link #write} does; a {@link #flushAsync} without {@link #writeBack} suffices. */
    default void writeThrough(long offset, ByteBuffer source) throws IOException {
        write(offset, source);
    }

    /** Makes a range read as zeroes. */
    void zero(long offset, long length) throws IOException;

    /** Takes notice that nobody needs the bytes of a range any more. */
    void trim(long offset, long length) throws IOException;

    /** Returns once all changes that returned before, whoever made them, are durable. */
    void flush() throws IOException;

    /** Brings all changes that returned before to where a {@link #flushAsync} finds them. */
    default void writeBack() throws IOException {}

    /** Begins with what a {@link #flush} that soon comes would have to do first. */
    default void prepareFlush() {}

    /**
     * Does what {@link #flush} does, but need not have done it on return; not for a {@link #write}
     * that no {@link #writeBack} followed.
     *
     * @param callers who call as one; only advice
     * @return completes, on whatever thread, when it is done, or with what {@link #flush} throws;
     *     what depends on it is to be brief
     */
    default CompletableFuture<Void> flushAsync(int callers) {
        try {
            flush();
            return CompletableFuture.completedFuture(null);
        } catch (IOException | RuntimeException | Error e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    @Override
    void close() throws IOException;
}
