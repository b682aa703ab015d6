package pmemblk.pool;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** The real libpmemblk and pmempool; where they are absent, the test fails and says so. */
public final class LibPmemblk implements AutoCloseable {
    private static final SymbolLookup LIBRARY = load();
    private static final MethodHandle CREATE =
            function("pmemblk_create", ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle OPEN = function("pmemblk_open", ADDRESS, ADDRESS, JAVA_LONG);
    private static final MethodHandle CLOSE =
            Linker.nativeLinker()
                    .downcallHandle(
                            LIBRARY.findOrThrow("pmemblk_close"),
                            FunctionDescriptor.ofVoid(ADDRESS));
    private static final MethodHandle CHECK =
            function("pmemblk_check", JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle NBLOCK = function("pmemblk_nblock", JAVA_LONG, ADDRESS);
    private static final MethodHandle READ =
            function("pmemblk_read", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG);
    private static final MethodHandle WRITE =
            function("pmemblk_write", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG);
    private static final MethodHandle SET_ZERO =
            function("pmemblk_set_zero", JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle SET_ERROR =
            function("pmemblk_set_error", JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle ERROR = function("pmemblk_errormsg", ADDRESS);

    private final MemorySegment pool;
    private final int blockSize;

    private LibPmemblk(MemorySegment pool, int blockSize) throws IOException {
        if (pool.equals(MemorySegment.NULL)) {
            throw new IOException(error());
        }
        this.pool = pool;
        this.blockSize = blockSize;
    }

    private static SymbolLookup load() {
        try {
            return SymbolLookup.libraryLookup("libpmemblk.so.1", Arena.global());
        } catch (IllegalArgumentException e) {
            throw new AssertionError("libpmemblk is missing: apt-get install libpmemblk1", e);
        }
    }

    private static MethodHandle function(
            String name, MemoryLayout result, MemoryLayout... arguments) {
        return Linker.nativeLinker()
                .downcallHandle(
                        LIBRARY.findOrThrow(name), FunctionDescriptor.of(result, arguments));
    }

    static LibPmemblk create(Path path, int blockSize, long size) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(path.toString());
            return new LibPmemblk(
                    (MemorySegment) CREATE.invokeExact(name, (long) blockSize, size, 0600),
                    blockSize);
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    public static LibPmemblk open(Path path, int blockSize) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(path.toString());
            return new LibPmemblk(
                    (MemorySegment) OPEN.invokeExact(name, (long) blockSize), blockSize);
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    /** 1 consistent, 0 not, -1 could not be checked. */
    static int check(Path path) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            return (int) CHECK.invokeExact(arena.allocateFrom(path.toString()), 0L);
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    /** Whether {@code pmempool check} calls a pool consistent; what it says otherwise. */
    static @Nullable String pmempoolComplaint(Path path) throws IOException, InterruptedException {
        Process process;
        try {
            process =
                    new ProcessBuilder("pmempool", "check", "-v", path.toString())
                            .redirectErrorStream(true)
                            .start();
        } catch (IOException e) {
            throw new AssertionError("pmempool is missing: apt-get install pmdk-tools", e);
        }
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (!process.waitFor(60, TimeUnit.SECONDS)) {
            throw new AssertionError("pmempool does not end: " + output);
        }
        return process.exitValue() == 0 && output.contains(": consistent") ? null : output;
    }

    long blockCount() throws IOException {
        try {
            return (long) NBLOCK.invokeExact(pool);
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    public byte[] read(long block) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(blockSize);
            require((int) READ.invokeExact(pool, buffer, block));
            return buffer.toArray(ValueLayout.JAVA_BYTE);
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    void write(long block, byte[] bytes) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
            require((int) WRITE.invokeExact(pool, buffer, block));
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    void setZero(long block) throws IOException {
        try {
            require((int) SET_ZERO.invokeExact(pool, block));
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    void setError(long block) throws IOException {
        try {
            require((int) SET_ERROR.invokeExact(pool, block));
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    private static void require(int result) throws IOException {
        if (result != 0) {
            throw new IOException(error());
        }
    }

    private static String error() throws IOException {
        try {
            MemorySegment text = (MemorySegment) ERROR.invokeExact();
            return text.reinterpret(Long.MAX_VALUE).getString(0);
        } catch (Throwable e) {
            throw thrown(e);
        }
    }

    private static IOException thrown(Throwable e) {
        return switch (e) {
            case IOException io -> io;
            case RuntimeException runtime -> throw runtime;
            case Error error -> throw error;
            default -> throw new AssertionError(e);
        };
    }

    @Override
    public void close() throws IOException {
        try {
            CLOSE.invokeExact(pool);
        } catch (Throwable e) {
            throw thrown(e);
        }
    }
}
