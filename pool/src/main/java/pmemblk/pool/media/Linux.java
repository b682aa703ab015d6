package pmemblk.pool.media;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
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
    private static final MemoryLayout CALL_STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO =
            CALL_STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

    /** Where the linker leaves errno; one a thread, since a call fills it just before returning. */
    private static final ThreadLocal<MemorySegment> CALL_STATE_OF_THREAD =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(CALL_STATE));

    /** A struct iovec, one a thread. */
    private static final ThreadLocal<MemorySegment> IOVEC_OF_THREAD =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(ADDRESS, 2));

    // open(2) is variadic, which some calling conventions pass differently.
    private static final MethodHandle OPEN = call("open", 2, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT);
    private static final MethodHandle CLOSE = call("close", -1, JAVA_INT, JAVA_INT);
    private static final MethodHandle FLOCK = call("flock", -1, JAVA_INT, JAVA_INT, JAVA_INT);
    private static final MethodHandle FCHMOD = call("fchmod", -1, JAVA_INT, JAVA_INT, JAVA_INT);
    private static final MethodHandle POSIX_FALLOCATE =
            call("posix_fallocate", -1, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle POSIX_FADVISE =
            call("posix_fadvise", -1, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle FTRUNCATE =
            call("ftruncate", -1, JAVA_INT, JAVA_INT, JAVA_LONG);
    private static final MethodHandle PREAD =
            call("pread", -1, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle PREADV2 =
            call("preadv2", -1, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_INT);
    private static final MethodHandle PWRITE =
            call("pwrite", -1, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle FSYNC = call("fsync", -1, JAVA_INT, JAVA_INT);
    private static final MethodHandle FDATASYNC = call("fdatasync", -1, JAVA_INT, JAVA_INT);
    private static final MethodHandle SYNC_FILE_RANGE =
            call("sync_file_range", -1, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle STATX =
            call("statx", -1, JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS);
    private static final MethodHandle STRERROR = plainCall("strerror", ADDRESS, JAVA_INT);

    private Linux() {}

    /**
     * What statx(2) says of an open file; {@code allocated} counts bytes that have a place, {@code
     * linkCount} its names.
     */
    record FileStatus(boolean regular, int linkCount, long size, long allocated) {}

    static int open(Path path, int flags, int mode) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(path.toString());
            while (true) {
                MemorySegment state = CALL_STATE_OF_THREAD.get();
                int fd = (int) OPEN.invokeExact(state, name, flags | O_CLOEXEC, mode);
                if (fd >= 0) {
                    return fd;
                }
                throwUnlessInterrupted(errno(state), path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    static void close(int fd, Path path) throws IOException {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            // After EINTR the descriptor is gone all the same: close(2) is never repeated.
            if ((int) CLOSE.invokeExact(state, fd) < 0 && errno(state) != EINTR) {
                throw failure(errno(state), path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    /** Takes the lock that libpmemblk takes; false if another open file description holds it. */
    static boolean tryLock(int fd, Path path) throws IOException {
        try {
            while (true) {
                MemorySegment state = CALL_STATE_OF_THREAD.get();
                if ((int) FLOCK.invokeExact(state, fd, LOCK_EX_NB) == 0) {
                    return true;
                }
                if (errno(state) == EAGAIN) {
                    return false;
                }
                throwUnlessInterrupted(errno(state), path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    static void changeMode(int fd, int mode, Path path) throws IOException {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            if ((int) FCHMOD.invokeExact(state, fd, mode) < 0) {
                throw failure(errno(state), path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    /** Gives the file {@code length} bytes and a place on the device for each of them. */
    static void allocate(int fd, long length, Path path) throws IOException {
        try {
            while (true) {
                MemorySegment state = CALL_STATE_OF_THREAD.get();
                int errno = (int) POSIX_FALLOCATE.invokeExact(state, fd, 0L, length);
                if (errno == 0) {
                    return;
                }
                throwUnlessInterrupted(errno, path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    /**
     * Begins to write what the page cache holds of a file, and does not wait for it. Whether that
     * succeeds is for {@link #syncData} to tell.
     */
    static void startWriteback(int fd) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int ignored =
                    (int) SYNC_FILE_RANGE.invokeExact(state, fd, 0L, 0L, SYNC_FILE_RANGE_WRITE);
        } catch (Throwable failure) {
            throw new AssertionError("sync_file_range threw", failure);
        }
    }

    /** Drops what the page cache holds of a range and need not write. */
    static void dropCached(int fd, long offset, long length, Path path) throws IOException {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int errno =
                    (int) POSIX_FADVISE.invokeExact(state, fd, offset, length, POSIX_FADV_DONTNEED);
            if (errno != 0) {
                throw failure(errno, path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    /** Gives the file {@code length} bytes; those that it had not are zero and without a place. */
    static void setSize(int fd, long length, Path path) throws IOException {
        try {
            while (true) {
                MemorySegment state = CALL_STATE_OF_THREAD.get();
                if ((int) FTRUNCATE.invokeExact(state, fd, length) == 0) {
                    return;
                }
                throwUnlessInterrupted(errno(state), path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
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
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            MemorySegment iovec = IOVEC_OF_THREAD.get();
            iovec.setAtIndex(ADDRESS, 0, target);
            iovec.setAtIndex(JAVA_LONG, 1, target.byteSize());
            return (long) PREADV2.invokeExact(state, fd, iovec, 1, offset, RWF_NOWAIT);
        } catch (Throwable failure) {
            throw new AssertionError("preadv2 threw", failure);
        }
    }

    /** Writes up to the size of {@code source}, which is native; returns how many bytes. */
    static long write(int fd, long offset, MemorySegment source, Path path) throws IOException {
        return transfer(PWRITE, fd, offset, source, path);
    }

    private static long transfer(
            MethodHandle call, int fd, long offset, MemorySegment bytes, Path path)
            throws IOException {
        try {
            while (true) {
                MemorySegment state = CALL_STATE_OF_THREAD.get();
                long count = (long) call.invokeExact(state, fd, bytes, bytes.byteSize(), offset);
                if (count >= 0) {
                    return count;
                }
                throwUnlessInterrupted(errno(state), path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
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

    private static void sync(MethodHandle call, int fd, Path path) throws IOException {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            // Never repeated: a second call may report success for pages that the first one lost.
            if ((int) call.invokeExact(state, fd) < 0) {
                throw failure(errno(state), path);
            }
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    static FileStatus status(int fd, Path path) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            MemorySegment statx = arena.allocate(STATX_SIZE, Long.BYTES);
            MemorySegment empty = arena.allocateFrom("");
            int result =
                    (int) STATX.invokeExact(state, fd, empty, AT_EMPTY_PATH, STATX_MASK, statx);
            if (result < 0) {
                throw failure(errno(state), path);
            }
            // struct statx: stx_nlink at 16, stx_mode at 28, stx_size at 40, stx_blocks (of 512
            // bytes) at 48.
            boolean regular = (statx.get(JAVA_SHORT, 28) & S_IFMT) == S_IFREG;
            return new FileStatus(
                    regular,
                    statx.get(JAVA_INT, 16),
                    statx.get(JAVA_LONG, 40),
                    statx.get(JAVA_LONG, 48) * 512);
        } catch (Throwable failure) {
            throw rethrown(failure);
        }
    }

    private static MethodHandle call(
            String name, int firstVariadic, MemoryLayout result, MemoryLayout... arguments) {
        Linker.Option errno = Linker.Option.captureCallState("errno");
        Linker.Option[] options =
                firstVariadic < 0
                        ? new Linker.Option[] {errno}
                        : new Linker.Option[] {
                            errno, Linker.Option.firstVariadicArg(firstVariadic)
                        };
        return LINKER.downcallHandle(
                LINKER.defaultLookup().findOrThrow(name),
                FunctionDescriptor.of(result, arguments),
                options);
    }

    private static MethodHandle plainCall(
            String name, MemoryLayout result, MemoryLayout... arguments) {
        return LINKER.downcallHandle(
                LINKER.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, arguments));
    }

    private static int errno(MemorySegment state) {
        return (int) ERRNO.get(state, 0L);
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
        try {
            MemorySegment text = (MemorySegment) STRERROR.invokeExact(errno);
            return text.reinterpret(Long.MAX_VALUE).getString(0);
        } catch (Throwable failure) {
            throw new AssertionError("strerror(" + errno + ")", failure);
        }
    }

    /** A method handle declares Throwable; what ours throw is an IOException or unchecked. */
    private static IOException rethrown(Throwable failure) {
        return switch (failure) {
            case IOException e -> e;
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            default -> throw new AssertionError("a system call threw", failure);
        };
    }
}
