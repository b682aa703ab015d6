package pmemblk.pool.media;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;

/**
 * Another medium as seen by one who must not change it: words stored here stay here.
 *
 * <p>What libpmemblk has in a private mapping: recovery runs, and its few words are seen by who
 * reads through this object and by nobody else. Anything but a word cannot be written.
 */
public final class PrivateMedium implements Medium {
    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Medium shared;
    private final ConcurrentNavigableMap<Long, Integer> words = new ConcurrentSkipListMap<>();

    /** Takes over {@code shared}, which {@link #close} closes. */
    public PrivateMedium(Medium shared) {
        this.shared = shared;
    }

    @Override
    public Kind kind() {
        return shared.kind();
    }

    @Override
    public long size() {
        return shared.size();
    }

    @Override
    public void read(long offset, MemorySegment target) throws IOException {
        shared.read(offset, target);
        overlay(offset, target);
    }

    @Override
    public boolean readNow(long offset, MemorySegment target) throws IOException {
        boolean done = shared.readNow(offset, target);
        if (done) {
            overlay(offset, target);
        }
        return done;
    }

    /** Puts the words that were stored here over what was read. */
    private void overlay(long offset, MemorySegment target) {
        words.subMap(offset, offset + target.byteSize())
                .forEach((place, word) -> target.set(WORD, place - offset, word));
    }

    @Override
    public boolean isAtHand(long offset) {
        return words.containsKey(offset) || shared.isAtHand(offset);
    }

    @Override
    public int load(long offset) throws IOException {
        Integer word = words.isEmpty() ? null : words.get(offset);
        return word == null ? shared.load(offset) : word;
    }

    @Override
    public void store(long offset, int word) {
        words.put(offset, word);
    }

    @Override
    public void write(long offset, MemorySegment source) {
        throw new IllegalStateException("write to a read-only medium at " + offset);
    }

    @Override
    public void storeLong(long offset, long word) {
        throw new IllegalStateException("write to a read-only medium at " + offset);
    }

    @Override
    public void persist(long offset, long length) {}

    @Override
    public void requireWhole() {}

    @Override
    public void close() throws IOException {
        shared.close();
    }
}
