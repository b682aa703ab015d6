package pmemblk.pool;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import pmemblk.pool.media.LockedFile;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.PrivateMedium;

/**
 * The files of a pool, open and locked, with headers that are sound and belong together.
 *
 * @param firstFile the path of the file, or of the first part
 * @param header the first file's
 * @param fileSize bytes of all the files
 * @param sparse whether some of their bytes have no place on the device yet
 * @param readOnly whether nothing may be changed, be it that the caller or the header says so
 */
record PoolFiles(
        Path firstFile,
        Medium medium,
        PoolHeader header,
        long fileSize,
        boolean sparse,
        boolean readOnly) {
    /** Opens the pool at {@code path}; whoever called closes the medium. */
    static PoolFiles open(Path path, boolean readOnly) throws IOException {
        PoolParts parts = PoolParts.open(path, readOnly);
        try {
            List<PartHeaders.Found> problems = PartHeaders.problems(parts);
            if (!problems.isEmpty()) {
                PartHeaders.Found first = problems.getFirst();
                throw new CorruptPoolException(
                        parts.parts().get(first.part()).path() + ": " + first.problem().text());
            }
            return of(parts, readOnly);
        } catch (IOException | RuntimeException e) {
            parts.closeAfter(e);
            throw e;
        } catch (InternalError e) {
            parts.closeAfter(e);
            throw BlockPool.missingPage(path, e);
        }
    }

    /** The files of a pool whose headers are sound; the medium takes over the parts. */
    static PoolFiles of(PoolParts parts, boolean readOnly) throws IOException {
        PoolHeader header = parts.header();
        boolean noChanges = readOnly || header.isReadOnly();
        boolean sparse = false;
        for (PoolParts.Part part : parts.parts()) {
            sparse |= part.file().isSparse();
        }
        return new PoolFiles(
                parts.parts().getFirst().path(),
                noChanges ? new PrivateMedium(parts.whole()) : parts.whole(),
                header,
                parts.fileSize(),
                sparse,
                noChanges);
    }

    /** A failure to open or make a file, in words for a user. */
    static PoolException translated(Path path, IOException failure) {
        return switch (failure) {
            case PoolException e -> e;
            case LockedFile.HeldException e ->
                    new PoolInUseException(
                            path
                                    + " is in use by another process, or was opened twice; stop"
                                    + " whoever serves or checks it (fuser names it)");
            case NoSuchFileException e ->
                    new PoolNotFoundException(
                            path + " does not exist; create makes a pool, serve --create too");
            case FileAlreadyExistsException e ->
                    new PoolExistsException(
                            path + " exists; choose another name, or remove it first");
            case AccessDeniedException e ->
                    new PoolFileException(
                            path + ": permission denied; a pool needs read and write permission",
                            e);
            case FileSystemException e -> new PoolFileException(path + ": " + e.getReason(), e);
            default -> new PoolFileException(String.valueOf(failure.getMessage()), failure);
        };
    }
}
