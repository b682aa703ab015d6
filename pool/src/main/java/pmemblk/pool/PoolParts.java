package pmemblk.pool;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.JoinedMedium;
import pmemblk.pool.media.LockedFile;
import pmemblk.pool.media.Medium;

/**
 * The locked file of a pool, or the locked parts of a pool set, whatever they hold.
 *
 * @param path as the user gave it
 * @param set null if that is the path of the pool's only file
 * @param whole the parts in a row, which {@link #close} closes
 * @param fileSize bytes of all the files
 */
record PoolParts(Path path, @Nullable PoolSet set, List<Part> parts, Medium whole, long fileSize)
        implements AutoCloseable {
    /** The smallest file that can be a part of a pool. */
    private static final long MIN_PART_SIZE = 2L << 20;

    private static final int MAX_SET_FILE_SIZE = 1 << 20;

    /**
     * One file.
     *
     * @param file belongs to the medium
     * @param start where its first byte that counts appears in the pool
     * @param skip the bytes before that one
     */
    record Part(LockedFile file, Medium medium, long start, long skip) {
        Path path() {
            return file.path();
        }
    }

    /** A place in a file. */
    record Place(Path file, long offset) {}

    /** Opens and locks the files of the pool at {@code path}. */
    static PoolParts open(Path path, boolean readOnly) throws IOException {
        PoolSet set = readSet(path);
        List<Path> paths =
                set == null ? List.of(path) : set.parts().stream().map(PoolSet.Part::path).toList();
        List<Part> parts = new ArrayList<>();
        try {
            long fileSize = 0;
            long start = 0;
            for (Path part : paths) {
                LockedFile file = openPart(part, readOnly, set, parts.size());
                long skip =
                        parts.isEmpty() || set == null || set.singleHeader() ? 0 : PoolHeader.SIZE;
                parts.add(new Part(file, mediumOf(file), start, skip));
                start += (file.size() - skip) / PoolHeader.SIZE * PoolHeader.SIZE;
                fileSize += file.size();
            }
            return new PoolParts(path, set, List.copyOf(parts), join(parts, set), fileSize);
        } catch (IOException | RuntimeException e) {
            for (Part part : parts) {
                closeAfter(e, part.medium);
            }
            throw e;
        }
    }

    private static Medium join(List<Part> parts, @Nullable PoolSet set) throws PoolFileException {
        requireOneKind(parts);
        List<Medium> media = parts.stream().map(Part::medium).toList();
        return set == null
                ? media.getFirst()
                : new JoinedMedium(media, set.singleHeader() ? 0 : PoolHeader.SIZE);
    }

    /** What is durable when, and what stays together then, would be another thing in each part. */
    private static void requireOneKind(List<Part> parts) throws PoolFileException {
        Part first = parts.getFirst();
        for (Part part : parts) {
            if (part.medium.kind() != first.medium.kind()) {
                throw new PoolFileException(
                        "%s lies on %s, %s on %s; move all parts to storage of one kind"
                                .formatted(
                                        first.path(),
                                        first.medium.kind().title(),
                                        part.path(),
                                        part.medium.kind().title()),
                        null);
            }
        }
    }

    private static @Nullable PoolSet readSet(Path path) throws IOException {
        requireRegular(path);
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
            throw PoolFiles.translated(
                    path,
                    Files.exists(path)
                            ? new AccessDeniedException(path.toString())
                            : new NoSuchFileException(path.toString()));
        }
    }

    /** Opening a pipe waits for somebody at its other end. */
    private static void requireRegular(Path path) throws PoolFileException {
        if (Files.exists(path) && !Files.isRegularFile(path)) {
            String found = Files.isDirectory(path) ? "a directory" : "not a regular file";
            throw new PoolFileException("%s is %s; a pool is a file".formatted(path, found), null);
        }
    }

    private static LockedFile openPart(
            Path path, boolean readOnly, @Nullable PoolSet set, int index) throws IOException {
        if (set != null && Files.isDirectory(path)) {
            throw new UnsupportedPoolException(
                    path + " is a directory, and pool sets of directories are not supported");
        }
        requireRegular(path);
        LockedFile file;
        try {
            file = LockedFile.open(path, readOnly);
        } catch (IOException e) {
            throw PoolFiles.translated(path, e);
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

    /** The medium that a file lies on; if there is none, the file is closed. */
    static Medium mediumOf(LockedFile file) throws IOException {
        try {
            return file.medium();
        } catch (IOException | RuntimeException e) {
            file.close();
            throw e;
        }
    }

    private static void closeAfter(Throwable failure, Medium medium) {
        try {
            medium.close();
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    /** Which file holds a byte of the pool, and where. */
    Place place(long offset) {
        Part holder = parts.getFirst();
        for (Part part : parts) {
            if (part.start <= offset) {
                holder = part;
            }
        }
        return new Place(holder.path(), offset - holder.start + holder.skip);
    }

    /** The header of one of the files, as it is. */
    MemorySegment readHeader(int part, Arena memory) throws IOException {
        MemorySegment block = memory.allocate(PoolHeader.SIZE, Long.BYTES);
        parts.get(part).medium.read(0, block);
        return block;
    }

    /** The pool's header; of use only if there are no {@link PartHeaders#problems}. */
    PoolHeader header() throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            return PoolHeader.read(readHeader(0, memory));
        }
    }

    @Override
    public void close() throws IOException {
        whole.close();
    }

    /** Closes the files after a failure to use them. */
    void closeAfter(Throwable failure) {
        closeAfter(failure, whole);
    }
}
