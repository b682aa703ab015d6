package pmemblk.pool;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.JoinedMedium;
import pmemblk.pool.media.LockedFile;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.PrivateMedium;

/**
 * Opens and locks the file of a pool, or the parts of a pool set, and sees that their headers
 * belong together.
 *
 * @param firstFile the path of the file, or of the first part
 * @param header the first file's
 * @param fileSize bytes of all the files
 * @param readOnly whether nothing may be changed, be it that the caller or the header says so
 */
record PoolFiles(
        Path firstFile, Medium medium, PoolHeader header, long fileSize, boolean readOnly) {
    /** The smallest file that can be a part of a pool. */
    private static final long MIN_PART_SIZE = 2L << 20;

    private static final int MAX_SET_FILE_SIZE = 1 << 20;

    /** Opens the pool at {@code path}; whoever called closes the medium. */
    static PoolFiles open(Path path, boolean readOnly) throws IOException {
        PoolSet set = readSet(path);
        List<Path> paths =
                set == null ? List.of(path) : set.parts().stream().map(PoolSet.Part::path).toList();
        List<Medium> media = new ArrayList<>();
        try {
            long fileSize = 0;
            for (int i = 0; i < paths.size(); i++) {
                LockedFile file = openPart(paths.get(i), readOnly, set, i);
                media.add(mediumOf(file));
                fileSize += file.size();
            }
            PoolHeader header = checkHeaders(path, paths, media, set);
            Medium whole =
                    set == null
                            ? media.get(0)
                            : new JoinedMedium(media, set.singleHeader() ? 0 : PoolHeader.SIZE);
            boolean noChanges = readOnly || header.isReadOnly();
            return new PoolFiles(
                    paths.get(0),
                    noChanges ? new PrivateMedium(whole) : whole,
                    header,
                    fileSize,
                    noChanges);
        } catch (IOException | RuntimeException e) {
            closeAll(media, e);
            throw e;
        }
    }

    private static @Nullable PoolSet readSet(Path path) throws IOException {
        try (InputStream in = new FileInputStream(path.toFile())) {
            byte[] signature = in.readNBytes(PoolSet.SIGNATURE.length());
            if (!new String(signature, StandardCharsets.US_ASCII).equals(PoolSet.SIGNATURE)) {
                return null;
            }
            byte[] rest = in.readNBytes(MAX_SET_FILE_SIZE);
            return PoolSet.parse(
                    path, PoolSet.SIGNATURE + new String(rest, StandardCharsets.UTF_8));
        } catch (PoolException e) {
            throw e;
        } catch (IOException e) {
            // FileInputStream tells a missing file from a locked door by words alone.
            throw Files.isDirectory(path)
                    ? new PoolFileException(path + " is a directory, not a pool", e)
                    : translated(
                            path,
                            Files.exists(path)
                                    ? new AccessDeniedException(path.toString())
                                    : new NoSuchFileException(path.toString()));
        }
    }

    private static LockedFile openPart(
            Path path, boolean readOnly, @Nullable PoolSet set, int index) throws IOException {
        LockedFile file;
        try {
            file = LockedFile.open(path, readOnly);
        } catch (IOException e) {
            throw translated(path, e);
        }
        try {
            if (set != null && file.size() != set.parts().get(index).size()) {
                throw new CorruptPoolException(
                        "%s has %d bytes, the pool set says %d"
                                .formatted(path, file.size(), set.parts().get(index).size()));
            }
            if (file.size() < MIN_PART_SIZE) {
                throw new CorruptPoolException(
                        "%s has %d bytes, too few for a pmemblk pool; it is something else, or was"
                                        .formatted(path, file.size())
                                + " cut short");
            }
            return file;
        } catch (IOException e) {
            file.close();
            throw e;
        }
    }

    private static Medium mediumOf(LockedFile file) throws IOException {
        try {
            return file.medium();
        } catch (IOException | RuntimeException e) {
            file.close();
            throw e;
        }
    }

    private static PoolHeader checkHeaders(
            Path path, List<Path> paths, List<Medium> media, @Nullable PoolSet set)
            throws IOException {
        boolean singleHeader = set != null && set.singleHeader();
        List<PoolHeader> headers = new ArrayList<>();
        for (int i = 0; i < (singleHeader ? 1 : paths.size()); i++) {
            headers.add(readHeader(path, paths.get(i), i, media.get(i)));
        }
        for (int i = 0; i < headers.size(); i++) {
            String problem = linkProblem(headers, i, singleHeader);
            if (problem != null) {
                throw new CorruptPoolException(paths.get(i) + ": " + problem);
            }
        }
        return headers.get(0);
    }

    private static PoolHeader readHeader(Path path, Path part, int index, Medium medium)
            throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment block = memory.allocate(PoolHeader.SIZE, Long.BYTES);
            medium.read(0, block);
            String problem = PoolHeader.problem(block);
            if (problem == null && index == 0) {
                problem = PoolHeader.shutdownProblem(block);
            }
            if (problem != null) {
                throw new CorruptPoolException(part + ": " + problem);
            }
            PoolHeader header = PoolHeader.read(block);
            Path badBlocks = Path.of("%s_r0_p%d_badblocks.txt".formatted(path, index));
            if ((header.compat() & PoolHeader.CHECK_BAD_BLOCKS) != 0 && Files.exists(badBlocks)) {
                throw new CorruptPoolException(
                        "%s: %s lists bad blocks; finish their recovery with pmempool"
                                .formatted(part, badBlocks));
            }
            return header;
        }
    }

    private static @Nullable String linkProblem(
            List<PoolHeader> headers, int index, boolean singleHeader) {
        PoolHeader header = headers.get(index);
        PoolHeader first = headers.get(0);
        PoolHeader next = headers.get((index + 1) % headers.size());
        PoolHeader previous = headers.get((index + headers.size() - 1) % headers.size());
        if (!header.poolsetUuid().equals(first.poolsetUuid())) {
            return "it belongs to pool %s, the first part to %s"
                    .formatted(header.poolsetUuid(), first.poolsetUuid());
        }
        if (header.incompat() != first.incompat() || header.compat() != first.compat()) {
            return "its features differ from those of the first part";
        }
        boolean saysSingle = (header.incompat() & PoolHeader.SINGLEHDR) != 0;
        boolean linked =
                saysSingle == singleHeader
                        && header.nextPart().equals(next.uuid())
                        && header.previousPart().equals(previous.uuid())
                        && header.nextReplica().equals(first.uuid())
                        && header.previousReplica().equals(first.uuid());
        return linked
                ? null
                : "its header names other files as its neighbours: it is a part of a pool set;"
                        + " open the set file, which lists all parts in their order";
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

    private static void closeAll(List<Medium> media, Throwable failure) {
        for (Medium medium : media) {
            try {
                medium.close();
            } catch (IOException e) {
                failure.addSuppressed(e);
            }
        }
    }
}
