package pmemblk.pool.media;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Several media in a row, each from some offset on: the parts of a pool set as one medium. Parts
 * begin and end at multiples of 4096 bytes, so that no word lies in two of them.
 */
public final class JoinedMedium implements Medium {
    private final List<Part> parts;
    private final long size;

    /**
     * {@code length} bytes of {@code medium} from {@code skip} on, which appear at {@code start}.
     */
    private record Part(Medium medium, long skip, long start, long length) {
        long end() {
            return start + length;
        }

        long inside(long offset) {
            return offset - start + skip;
        }
    }

    /**
     * Joins the media, which this one closes.
     *
     * @param media at least one, all of a kind
     * @param skip bytes of each but the first that do not count
     */
    public JoinedMedium(List<Medium> media, long skip) {
        List<Part> joined = new ArrayList<>();
        long start = 0;
        for (Medium medium : media) {
            long skipped = joined.isEmpty() ? 0 : skip;
            long length = (medium.size() - skipped) / 4096 * 4096;
            joined.add(new Part(medium, skipped, start, length));
            start += length;
        }
        this.parts = List.copyOf(joined);
        this.size = start;
    }

    @Override
    public Kind kind() {
        return parts.getFirst().medium.kind();
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public void read(long offset, MemorySegment target) throws IOException {
        long done = 0;
        while (done < target.byteSize()) {
            Part part = partAt(offset + done);
            long count = Math.min(target.byteSize() - done, part.end() - offset - done);
            part.medium.read(part.inside(offset + done), target.asSlice(done, count));
            done += count;
        }
    }

    @Override
    public boolean readNow(long offset, MemorySegment target) throws IOException {
        Part part = partAt(offset);
        // One that spans two parts is rare, and may just as well be taken for one that waits.
        return offset + target.byteSize() <= part.end()
                && part.medium.readNow(part.inside(offset), target);
    }

    @Override
    public void write(long offset, MemorySegment source) throws IOException {
        long done = 0;
        while (done < source.byteSize()) {
            Part part = partAt(offset + done);
            long count = Math.min(source.byteSize() - done, part.end() - offset - done);
            part.medium.write(part.inside(offset + done), source.asSlice(done, count));
            done += count;
        }
    }

    @Override
    public int load(long offset) throws IOException {
        Part part = partAt(offset);
        return part.medium.load(part.inside(offset));
    }

    @Override
    public boolean isAtHand(long offset) {
        Part part = partAt(offset);
        return part.medium.isAtHand(part.inside(offset));
    }

    @Override
    public void store(long offset, int word) throws IOException {
        Part part = partAt(offset);
        part.medium.store(part.inside(offset), word);
    }

    @Override
    public void reserve(long offset) throws IOException {
        Part part = partAt(offset);
        part.medium.reserve(part.inside(offset));
    }

    @Override
    public void storeLong(long offset, long word) throws IOException {
        Part part = partAt(offset);
        part.medium.storeLong(part.inside(offset), word);
    }

    @Override
    public void persist(long offset, long length) throws IOException {
        forEachPart(offset, length, Medium::persist);
    }

    @Override
    public void refresh(long offset, long length) throws IOException {
        forEachPart(offset, length, Medium::refresh);
    }

    @Override
    public void requireWhole() throws IOException {
        for (Part part : parts) {
            part.medium.requireWhole();
        }
    }

    @Override
    public @Nullable IOException writeFailure() {
        for (Part part : parts) {
            IOException failure = part.medium.writeFailure();
            if (failure != null) {
                return failure;
            }
        }
        return null;
    }

    @Override
    public void refuseReads() {
        parts.forEach(part -> part.medium.refuseReads());
    }

    @Override
    public void startPersist() {
        parts.forEach(part -> part.medium.startPersist());
    }

    /** What is done to a range of a medium. */
    private interface RangeAction {
        void apply(Medium medium, long offset, long length) throws IOException;
    }

    private void forEachPart(long offset, long length, RangeAction action) throws IOException {
        for (Part part : parts) {
            long from = Math.max(offset, part.start);
            long to = Math.min(offset + length, part.end());
            if (from < to) {
                action.apply(part.medium, part.inside(from), to - from);
            }
        }
    }

    private Part partAt(long offset) {
        for (Part part : parts) {
            if (offset < part.end()) {
                return part;
            }
        }
        throw new IndexOutOfBoundsException("offset " + offset + " is beyond " + size);
    }

    @Override
    public void close() throws IOException {
        IOException failure = null;
        for (Part part : parts) {
            try {
                part.medium.close();
            } catch (IOException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
