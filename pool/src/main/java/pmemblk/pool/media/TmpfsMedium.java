package pmemblk.pool.media;

import java.io.IOException;
import java.nio.channels.FileChannel.MapMode;

/** A file in main memory. The order of stores is all there is; a power cut takes everything. */
final class TmpfsMedium extends MappedMedium {

    TmpfsMedium(LockedFile file) throws IOException {
        super(file, file.readOnly() ? MapMode.READ_ONLY : MapMode.READ_WRITE);
    }

    @Override
    public Kind kind() {
        return Kind.TMPFS;
    }

    @Override
    public void allocate(long offset, long length) throws IOException {
        file().allocate(offset, length);
        Linux.populate(memory().asSlice(offset, length));
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        file().discard(offset, length);
    }

    @Override
    public void persist(long offset, long length) {}
}
