package pmemblk.pool.media;

import java.io.IOException;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import jdk.nio.mapmode.ExtendedMapMode;
import org.jspecify.annotations.Nullable;

/** Persistent memory: mapped with MAP_SYNC, made durable by writing back cache lines. */
final class DaxMedium extends MappedMedium {

    private DaxMedium(LockedFile file, MapMode mode) throws IOException {
        super(file, mode);
    }

    /**
     * The file as persistent memory, or null if it does not lie on any.
     *
     * @throws IOException if this JVM cannot write back persistent memory
     */
    static @Nullable DaxMedium mapped(LockedFile file) throws IOException {
        DaxMedium mapped = tryMapping(file);
        if (mapped != null) {
            requireCompiler(file.path(), System.getProperty("java.vm.info", ""));
        }
        return mapped;
    }

    /**
     * The JVM's routine for writing back cache lines comes with its C2 compiler; without that,
     * {@link java.lang.foreign.MemorySegment#force} jumps to address 0 (seen with JDK 25.0.3).
     */
    static void requireCompiler(Path file, String vmInfo) throws IOException {
        if (vmInfo.contains("interpreted") || vmInfo.contains("emulated-client")) {
            throw new IOException(
                    "%s: lies on persistent memory, which a JVM without its C2 compiler cannot write"
                                    .formatted(file)
                            + " back; run Java without -Xint and -XX:TieredStopAtLevel");
        }
    }

    private static @Nullable DaxMedium tryMapping(LockedFile file) {
        try {
            MapMode mode =
                    file.readOnly()
                            ? ExtendedMapMode.READ_ONLY_SYNC
                            : ExtendedMapMode.READ_WRITE_SYNC;
            return new DaxMedium(file, mode);
        } catch (IOException | UnsupportedOperationException notDax) {
            // Which of the two it is depends on the file system; neither says more than "no".
            return null;
        }
    }

    @Override
    public Kind kind() {
        return Kind.DAX;
    }

    @Override
    public void persist(long offset, long length) {
        memory().asSlice(offset, length).force();
    }
}
