package pmemblk.pool.media;

import java.io.IOException;
import java.nio.channels.FileChannel.MapMode;
import jdk.nio.mapmode.ExtendedMapMode;
import org.jspecify.annotations.Nullable;

/** Persistent memory: mapped with MAP_SYNC, made durable by writing back cache lines. */
final class DaxMedium extends MappedMedium {

    private DaxMedium(LockedFile file, MapMode mode) throws IOException {
        super(file, mode);
    }

    /** The file as persistent memory, or null if it does not lie on any. */
    static @Nullable DaxMedium mapped(LockedFile file) {
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
