package pmemblk.pool.btt;

import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * Notes in which pages of an arena's map there are blocks that were written, and so may have been
 * parted from their neighbours. Thread-safe.
 */
final class WrittenPages {
    private final AtomicIntegerArray pages;

    WrittenPages(int blockCount) {
        pages = new AtomicIntegerArray(Math.ceilDiv(blockCount, BlockMap.PAGE));
    }

    void add(int premapLba) {
        int page = premapLba / BlockMap.PAGE;
        if (pages.getPlain(page) == 0) {
            pages.set(page, 1);
        }
    }

    void remove(int page) {
        pages.set(page, 0);
    }

    /** The first noted page from this one on, or -1 if there is none. */
    int next(int from) {
        for (int page = from; page < pages.length(); page++) {
            if (pages.get(page) != 0) {
                return page;
            }
        }
        return -1;
    }
}
