package pmemblk.pool.btt;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import pmemblk.pool.media.Medium;

/**
 * A medium of 8-byte words, each read and written at once, that needs memory only for words that
 * are not zero. Whoever reads or writes several sees what others do in between.
 */
final class WordMedium implements Medium {
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

    private final Kind kind;
    private final long size;
    private final Words words = new Words();

    /** The words by offset; its methods are taken as atomic by whoever explores interleavings. */
    static final class Words {
        private final Map<Long, Long> byOffset = new ConcurrentHashMap<>();

        long get(long offset) {
            return byOffset.getOrDefault(offset, 0L);
        }

        void set(long offset, long word) {
            byOffset.put(offset, word);
        }

        void setHalf(long offset, int half) {
            int shift = offset % 8 == 0 ? 0 : 32;
            byOffset.merge(
                    offset / 8 * 8,
                    Integer.toUnsignedLong(half) << shift,
                    (old, added) -> (old & ~(0xffff_ffffL << shift)) | added);
        }
    }

    WordMedium(Kind kind, long size) {
        this.kind = kind;
        this.size = size;
    }

    @Override
    public Kind kind() {
        return kind;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public void read(long offset, MemorySegment target) {
        long done = 0;
        for (; done + Long.BYTES <= target.byteSize(); done += Long.BYTES) {
            target.set(LONG, done, words.get(offset + done));
        }
        // A map may end in the middle of a word.
        if (done < target.byteSize()) {
            target.set(INT, done, (int) words.get(offset + done));
        }
    }

    @Override
    public void write(long offset, MemorySegment source) {
        for (long done = 0; done < source.byteSize(); done += Long.BYTES) {
            words.set(offset + done, source.get(LONG, done));
        }
    }

    @Override
    public int load(long offset) {
        return (int) (words.get(offset / 8 * 8) >>> (offset % 8 == 0 ? 0 : 32));
    }

    @Override
    public void store(long offset, int word) {
        words.setHalf(offset, word);
    }

    @Override
    public void storeLong(long offset, long word) {
        words.set(offset, word);
    }

    @Override
    public void persist(long offset, long length) {}

    @Override
    public void requireWhole() {}

    @Override
    public void close() {}
}
