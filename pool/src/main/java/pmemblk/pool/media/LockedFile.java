package pmemblk.pool.media;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * An open file under the exclusive flock(2) that PMDK takes on every part of a pool.
 *
 * <p>The lock belongs to this open file, so that a second open fails in the same process too. Held
 * until {@link #close}, which whoever opened it calls once, after the last use.
 */
public final class LockedFile implements AutoCloseable {
    /** Read and written by its owner alone until the pool is whole and gets the mode asked for. */
    private static final int MODE_WHILE_MADE = 0600;

    private final Path path;
    private final int fd;
    private final boolean readOnly;
    private final long size;

    private LockedFile(Path path, int fd, boolean readOnly, long size) {
        this.path = path;
        this.fd = fd;
        this.readOnly = readOnly;
        this.size = size;
    }

    /** Thrown where another process, or another open of this one, holds the lock. */
    public static final class HeldException extends IOException {
        private static final long serialVersionUID = 1;

        HeldException(Path path) {
            super(path + " is locked");
        }
    }

    /** Thrown where bytes of the file are gone. */
    static final class CutShortException extends IOException {
        private static final long serialVersionUID = 1;

        CutShortException(String message) {
            super(message);
        }
    }

    /**
     * Opens and locks a regular file that exists.
     *
     * @throws HeldException if it is locked, or was replaced by another file before it was
     */
    public static LockedFile open(Path path, boolean readOnly) throws IOException {
        // Opening a pipe would wait for somebody at its other end.
        int access = Linux.O_NONBLOCK | (readOnly ? Linux.O_RDONLY : Linux.O_RDWR);
        int fd = Linux.open(path, access, 0);
        try {
            lock(path, fd);
            LockedFile file = regular(path, fd, readOnly);
            if (!Files.isSameFile(path, file.descriptor())) {
                throw new HeldException(path);
            }
            return file;
        } catch (IOException | RuntimeException e) {
            closeAfter(e, fd, path);
            throw e;
        }
    }

    /**
     * Makes a file of {@code size} bytes, all of them zero and with a place on the device, and
     * locks it. If that fails, no file is left behind.
     *
     * @throws java.nio.file.FileAlreadyExistsException if there is anything at {@code path}
     */
    public static LockedFile create(Path path, long size) throws IOException {
        return create(path, fd -> Linux.allocate(fd, 0, size, path));
    }

    /** Makes a file as {@link #create} does, but its bytes get their place when written. */
    public static LockedFile createSparse(Path path, long size) throws IOException {
        return create(path, fd -> Linux.setSize(fd, size, path));
    }

    /** Gives a new file its bytes. */
    private interface Sizing {
        void apply(int fd) throws IOException;
    }

    private static LockedFile create(Path path, Sizing sizing) throws IOException {
        int fd = Linux.open(path, Linux.O_RDWR | Linux.O_CREAT | Linux.O_EXCL, MODE_WHILE_MADE);
        try {
            // First: that file of no size yet is not for anybody else.
            lock(path, fd);
            sizing.apply(fd);
            return regular(path, fd, false);
        } catch (IOException | RuntimeException e) {
            closeAfter(e, fd, path);
            Files.deleteIfExists(path);
            throw e;
        }
    }

    private static void lock(Path path, int fd) throws IOException {
        if (!Linux.tryLock(fd, path)) {
            throw new HeldException(path);
        }
    }

    private static LockedFile regular(Path path, int fd, boolean readOnly) throws IOException {
        Linux.FileStatus status = Linux.status(fd, path);
        if (!status.regular()) {
            throw new IOException(path + " is not a regular file");
        }
        return new LockedFile(path, fd, readOnly, status.size());
    }

    private static void closeAfter(Throwable failure, int fd, Path path) {
        try {
            Linux.close(fd, path);
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    public Path path() {
        return path;
    }

    public boolean readOnly() {
        return readOnly;
    }

    /** The number of bytes when it was opened. */
    public long size() {
        return size;
    }

    int fd() {
        return fd;
    }

    /** Fails if the file has lost bytes or its name: what is written to it then is lost. */
    void requireWhole() throws IOException {
        Linux.FileStatus status = Linux.status(fd, path);
        if (status.size() < size) {
            throw new CutShortException(
                    "%s was cut short under its server, to %d of %d bytes; put a copy in its place"
                            .formatted(path, status.size(), size));
        }
        if (status.linkCount() == 0) {
            throw new IOException(
                    path
                            + " was deleted or replaced under its server; copy what can still be"
                            + " read, with nbdcopy, before it stops");
        }
    }

    /** Gives bytes of a sparse file their place on the device; what they hold stays as it is. */
    void allocate(long offset, long length) throws IOException {
        Linux.allocate(fd, offset, length, path);
    }

    /** Makes bytes read as zeroes, and gives up the place of whole pages among them. */
    void discard(long offset, long length) throws IOException {
        Linux.discard(fd, offset, length, path);
    }

    /** Whether some of the bytes have no place on the device yet. */
    public boolean isSparse() throws IOException {
        Linux.FileStatus status = Linux.status(fd, path);
        return status.allocated() < status.size();
    }

    /** How many names the file has. */
    public int linkCount() throws IOException {
        return Linux.status(fd, path).linkCount();
    }

    /** Sets the permission bits, to which the umask does not apply. */
    public void changeMode(int mode) throws IOException {
        Linux.changeMode(fd, mode, path);
    }

    /** Makes the file durable with its metadata, and its name in its directory. */
    public void syncWithName() throws IOException {
        Linux.sync(fd, path);
        Path directory = path.toAbsolutePath().getParent();
        if (directory == null) {
            return;
        }
        int directoryFd = Linux.open(directory, Linux.O_RDONLY, 0);
        try {
            Linux.sync(directoryFd, directory);
        } finally {
            Linux.close(directoryFd, directory);
        }
    }

    private Path descriptor() {
        return Path.of("/proc/self/fd/" + fd);
    }

    /** A second way into the very file that is locked, whatever its path names by now. */
    FileChannel openChannel() throws IOException {
        OpenOption[] access =
                readOnly
                        ? new OpenOption[] {StandardOpenOption.READ}
                        : new OpenOption[] {StandardOpenOption.READ, StandardOpenOption.WRITE};
        return FileChannel.open(descriptor(), access);
    }

    /** Chooses the medium that the file lies on, which from then on owns this file. */
    public Medium medium() throws IOException {
        DaxMedium dax = DaxMedium.mapped(this);
        if (dax != null) {
            return dax;
        }
        boolean inMemory = Files.getFileStore(path).type().equals("tmpfs");
        return inMemory ? new TmpfsMedium(this) : new FileMedium(this);
    }

    @Override
    public void close() throws IOException {
        Linux.close(fd, path);
    }
}
