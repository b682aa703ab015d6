package pmemblk.pool.btt;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Notes in which pages of an arena's map there are blocks that were written, and so may have been
 * parted from their neighbours. Thread-safe.
 */
final class WrittenPages {
    /** A bit a page. */
    private final AtomicLongArray words;

    WrittenPages(int blockCount) {
        int pageCount = Math.ceilDiv(blockCount, BlockMap.PAGE);
        words = new AtomicLongArray(Math.ceilDiv(pageCount, Long.SIZE));
    }

    void add(int premapLba) {
        int page = premapLba / BlockMap.PAGE;
        long bit = 1L << page;
        if ((words.getPlain(page / Long.SIZE) & bit) == 0) {
            words.getAndUpdate(page / Long.SIZE, word -> word | bit);
        }
    }

    void remove(int page) {
        long bit = 1L << page;
        words.getAndUpdate(page / Long.SIZE, word -> word & ~bit);
    }

    /** The first noted page from this one on, or -1 if there is none. */
    int next(int from) {
        long mask = -1L << from;
        for (int i = from / Long.SIZE; i < words.length(); i++) {
            long pages = words.get(i) & mask;
            if (pages != 0) {
                return i * Long.SIZE + Long.numberOfTrailingZeros(pages);
            }
            mask = -1;
        }
        return -1;
    }
}
