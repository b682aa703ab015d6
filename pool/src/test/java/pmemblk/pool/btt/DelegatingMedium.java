package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import pmemblk.pool.media.Medium;

/** Another medium, for tests that change what some calls do. */
class DelegatingMedium implements Medium {
    private final Medium medium;

    DelegatingMedium(Medium medium) {
        this.medium = medium;
    }

    @Override
    public Kind kind() {
        return medium.kind();
    }

    @Override
    public long size() {
        return medium.size();
    }

    @Override
    public void read(long offset, MemorySegment target) throws IOException {
        medium.read(offset, target);
    }

    @Override
    public void write(long offset, MemorySegment source) throws IOException {
        medium.write(offset, source);
    }

    @Override
    public int load(long offset) throws IOException {
        return medium.load(offset);
    }

    @Override
    public void store(long offset, int word) throws IOException {
        medium.store(offset, word);
    }

    @Override
    public void storeLong(long offset, long word) throws IOException {
        medium.storeLong(offset, word);
    }

    @Override
    public void persist(long offset, long length) throws IOException {
        medium.persist(offset, length);
    }

    @Override
    public void requireWhole() throws IOException {
        medium.requireWhole();
    }

    @Override
    public void close() throws IOException {
        medium.close();
    }
}
