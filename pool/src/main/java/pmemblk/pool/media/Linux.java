package pmemblk.pool.media;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * System calls on file descriptors, for Linux on 64-bit machines (the constants are those of x86-64
 * and aarch64, which agree). A call that fails throws the {@link FileSystemException} that fits its
 * errno, with the path it was given; calls broken off by a signal are taken up again.
 */
final class Linux {
    static final int O_RDONLY = 0;
    static final int O_RDWR = 2;
    static final int O_CREAT = 0100;
    static final int O_EXCL = 0200;
    static final int O_NONBLOCK = 04000;
    static final int O_CLOEXEC = 02000000;

    private static final int LOCK_EX_NB = 2 | 4;
    private static final int AT_EMPTY_PATH = 0x1000;

    /** Type, links, size and blocks; not the times: to ask for them makes the next write slower. */
    private static final int STATX_MASK = 0x605;

    private static final int STATX_SIZE = 256;
    private static final int IOVEC_SIZE = 16;
    private static final int PUNCH_HOLE_KEEP_SIZE = 3;
    private static final int MADV_POPULATE_WRITE = 23;
    private static final long PAGE = 4096;
    private static final int RWF_NOWAIT = 8;
    private static final int S_IFMT = 0170000;
    private static final int S_IFREG = 0100000;

    private static final int ENOENT = 2;
    private static final int EINTR = 4;
    private static final int EAGAIN = 11;
    private static final int EACCES = 13;
    private static final int EEXIST = 17;
    private static final int ENOSPC = 28;
    private static final int EDQUOT = 122;

    private static final int POSIX_FADV_DONTNEED = 4;
    private static final int SYNC_FILE_RANGE_WRITE = 2;

    private static final Linker LINKER = Linker.nativeLinker();

    /** Where the linker leaves errno; one a thread, since a call fills it just before returning. */
    private static final ThreadLocal<MemorySegment> CALL_STATE_OF_THREAD =
            ThreadLocal.withInitial(
                    () -> Arena.ofAuto().allocate(Linker.Option.captureStateLayout()));

    /** A struct iovec, one a thread. */
    private static final ThreadLocal<MemorySegment> IOVEC_OF_THREAD =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(IOVEC_SIZE, Long.BYTES));

    /**
     * Calls any function of up to five integers and pointers. Each of these has a register, of
     * which a function looks at those that it declares and at as many bits as they have. A handle
     * for each declaration would be safer; but they are made at run time, and took a fifth of the
     * start.
     */
    private static final MethodHandle CALL =
            LINKER.downcallHandle(
                    FunctionDescriptor.of(
                            JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
                    Linker.Option.captureCallState("errno"));

    private static final MemorySegment OPEN = function("open");
    private static final MemorySegment CLOSE = function("close");
    private static final MemorySegment FLOCK = function("flock");
    private static final MemorySegment FCHMOD = function("fchmod");
    private static final MemorySegment MADVISE = function("madvise");
    private static final MemorySegment FALLOCATE = function("fallocate");
    private static final MemorySegment POSIX_FALLOCATE = function("posix_fallocate");
    private static final MemorySegment POSIX_FADVISE = function("posix_fadvise");
    private static final MemorySegment FTRUNCATE = function("ftruncate");
    private static final MemorySegment PREAD = function("pread");
    private static final MemorySegment PREADV2 = function("preadv2");
    private static final MemorySegment PWRITE = function("pwrite");
    private static final MemorySegment FSYNC = function("fsync");
    private static final MemorySegment FDATASYNC = function("fdatasync");
    private static final MemorySegment SYNC_FILE_RANGE = function("sync_file_range");
    private static final MemorySegment STATX = function("statx");
    private static final MemorySegment STRERROR = function("strerror");

    private Linux() {}

    /**
     * What statx(2) says of an open file; {@code allocated} counts bytes that have a place, {@code
     * linkCount} its names.
     */
    record FileStatus(boolean regular, int linkCount, long size, long allocated) {}

    static int open(Path path, int flags, int mode) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            long name = arena.allocateFrom(path.toString()).address();
            while (true) {
                int fd = (int) call(OPEN, name, flags | O_CLOEXEC, mode, 0, 0);
                if (fd >= 0) {
                    return fd;
                }
                throwUnlessInterrupted(errno(), path);
            }
        }
    }

    static void close(int fd, Path path) throws IOException {
        // After EINTR the descriptor is gone all the same: close(2) is never repeated.
        if ((int) call(CLOSE, fd, 0, 0, 0, 0) < 0 && errno() != EINTR) {
            throw failure(errno(), path);
        }
    }

    /** Takes the lock that libpmemblk takes; false if another open file description holds it. */
    static boolean tryLock(int fd, Path path) throws IOException {
        while ((int) call(FLOCK, fd, LOCK_EX_NB, 0, 0, 0) != 0) {
            if (errno() == EAGAIN) {
                return false;
            }
            throwUnlessInterrupted(errno(), path);
        }
        return true;
    }

    static void changeMode(int fd, int mode, Path path) throws IOException {
        if ((int) call(FCHMOD, fd, mode, 0, 0, 0) < 0) {
            throw failure(errno(), path);
        }
    }

    /** Gives bytes of the file, which grows if need be, a place on the device. */
    static void allocate(int fd, long offset, long length, Path path) throws IOException {
        int errno = (int) call(POSIX_FALLOCATE, fd, offset, length, 0, 0);
        while (errno != 0) {
            throwUnlessInterrupted(errno, path);
            errno = (int) call(POSIX_FALLOCATE, fd, offset, length, 0, 0);
        }
    }

    /**
     * Has mapped pages at hand, all at once rather than each when it is first written to, where the
     * kernel can do that (from 5.14 on).
     */
    static void populate(MemorySegment mapped) {
        long start = mapped.address() / PAGE * PAGE;
        call(
                MADVISE,
                start,
                mapped.address() + mapped.byteSize() - start,
                MADV_POPULATE_WRITE,
                0,
                0);
    }

    /** Makes bytes of the file zeroes; whole pages among them have no place from then on. */
    static void discard(int fd, long offset, long length, Path path) throws IOException {
        while ((int) call(FALLOCATE, fd, PUNCH_HOLE_KEEP_SIZE, offset, length, 0) != 0) {
            throwUnlessInterrupted(errno(), path);
        }
    }

    /**
     * Begins to write what the page cache holds of a file, and does not wait for it. Whether that
     * succeeds is for {@link #syncData} to tell.
     */
    static void startWriteback(int fd) {
        call(SYNC_FILE_RANGE, fd, 0, 0, SYNC_FILE_RANGE_WRITE, 0);
    }

    /** Drops what the page cache holds of a range and need not write. */
    static void dropCached(int fd, long offset, long length, Path path) throws IOException {
        int errno = (int) call(POSIX_FADVISE, fd, offset, length, POSIX_FADV_DONTNEED, 0);
        if (errno != 0) {
            throw failure(errno, path);
        }
    }

    /** Gives the file {@code length} bytes; those that it had not are zero and without a place. */
    static void setSize(int fd, long length, Path path) throws IOException {
        while ((int) call(FTRUNCATE, fd, length, 0, 0, 0) != 0) {
            throwUnlessInterrupted(errno(), path);
        }
    }

    /** Reads up to the size of {@code target}, which is native; 0 at the end of the file. */
    static long read(int fd, long offset, MemorySegment target, Path path) throws IOException {
        return transfer(PREAD, fd, offset, target, path);
    }

    /**
     * Reads into {@code target}, which is native, what the page cache holds; returns the number of
     * bytes, 0 at the end of the file, or -1 if not even the first can be had without waiting.
     */
    static long readNow(int fd, long offset, MemorySegment target) {
        try {
            MemorySegment iovec = IOVEC_OF_THREAD.get();
            iovec.set(JAVA_LONG, 0, addressOf(target));
            iovec.set(JAVA_LONG, Long.BYTES, target.byteSize());
            return call(PREADV2, fd, iovec.address(), 1, offset, RWF_NOWAIT);
        } finally {
            Reference.reachabilityFence(target);
        }
    }

    /** Writes up to the size of {@code source}, which is native; returns how many bytes. */
    static long write(int fd, long offset, MemorySegment source, Path path) throws IOException {
        return transfer(PWRITE, fd, offset, source, path);
    }

    private static long transfer(
            MemorySegment function, int fd, long offset, MemorySegment bytes, Path path)
            throws IOException {
        try {
            while (true) {
                long count = call(function, fd, addressOf(bytes), bytes.byteSize(), offset, 0);
                if (count >= 0) {
                    return count;
                }
                throwUnlessInterrupted(errno(), path);
            }
        } finally {
            Reference.reachabilityFence(bytes);
        }
    }

    /** Makes the file's bytes durable, and of its metadata what is needed to find them. */
    static void syncData(int fd, Path path) throws IOException {
        sync(FDATASYNC, fd, path);
    }

    /** Makes a file or a directory durable, metadata included. */
    static void sync(int fd, Path path) throws IOException {
        sync(FSYNC, fd, path);
    }

    private static void sync(MemorySegment function, int fd, Path path) throws IOException {
        // Never repeated: a second call may report success for pages that the first one lost.
        if ((int) call(function, fd, 0, 0, 0, 0) < 0) {
            throw failure(errno(), path);
        }
    }

    static FileStatus status(int fd, Path path) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment statx = arena.allocate(STATX_SIZE, Long.BYTES);
            long empty = arena.allocateFrom("").address();
            if ((int) call(STATX, fd, empty, AT_EMPTY_PATH, STATX_MASK, statx.address()) < 0) {
                throw failure(errno(), path);
            }
            // struct statx: stx_nlink at 16, stx_mode at 28, stx_size at 40, stx_blocks (of 512
            // bytes) at 48.
            boolean regular = (statx.get(JAVA_INT, 28) & S_IFMT) == S_IFREG;
            return new FileStatus(
                    regular,
                    statx.get(JAVA_INT, 16),
                    statx.get(JAVA_LONG, 40),
                    statx.get(JAVA_LONG, 48) * 512);
        }
    }

    private static MemorySegment function(String name) {
        return LINKER.defaultLookup().findOrThrow(name);
    }

    /** What {@code function} returns, in as many of the low bits as its result has. */
    private static long call(MemorySegment function, long a, long b, long c, long d, long e) {
        try {
            return (long) CALL.invokeExact(function, CALL_STATE_OF_THREAD.get(), a, b, c, d, e);
        } catch (Error failure) {
            throw failure;
        } catch (Throwable failure) {
            throw new AssertionError("a system call threw", failure);
        }
    }

    /** To be kept reachable by the caller until the call has returned. */
    private static long addressOf(MemorySegment bytes) {
        if (!bytes.isNative()) {
            throw new IllegalArgumentException("a system call needs native memory");
        }
        return bytes.address();
    }

    /** Of this thread's last call; on Linux the linker leaves nothing beside it. */
    private static int errno() {
        return CALL_STATE_OF_THREAD.get().get(JAVA_INT, 0);
    }

    private static void throwUnlessInterrupted(int errno, Path path) throws IOException {
        if (errno != EINTR) {
            throw failure(errno, path);
        }
    }

    private static FileSystemException failure(int errno, Path path) {
        String file = path.toString();
        return switch (errno) {
            case ENOENT -> new NoSuchFileException(file);
            case EEXIST -> new FileAlreadyExistsException(file);
            case EACCES -> new AccessDeniedException(file);
            case ENOSPC, EDQUOT -> new NoSpaceException(file, describe(errno));
            default -> new FileSystemException(file, null, describe(errno));
        };
    }

    private static String describe(int errno) {
        MemorySegment text = MemorySegment.ofAddress(call(STRERROR, errno, 0, 0, 0, 0));
        return text.reinterpret(Long.MAX_VALUE).getString(0);
    }
}
