package pmemblk.pool.media;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Words of a file, kept in the heap a page at a time so that each is loaded and stored whole:
 * pread(2) and pwrite(2) promise that of no byte. Stores go through to the file.
 *
 * <p>A page has one place, which it shares with other pages, and a lock goes with the place. A
 * loader may still hold a page that lost its place meanwhile, and so return a word as it was at
 * some moment during the call, which is all that it promises.
 */
final class WordCache {
    static final int PAGE_SIZE = 4096;
    private static final int PLACE_COUNT = 4096;
    private static final int LOCK_COUNT = 64;
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(int[].class);

    private final FileMedium file;
    private final AtomicReferenceArray<@Nullable Page> places =
            new AtomicReferenceArray<>(PLACE_COUNT);
    private final Lock[] locks = new Lock[LOCK_COUNT];

    /** The words of a page; elements are loaded and stored with acquire and release. */
    private static final class Page {
        private final long number;
        private final int[] words;

        Page(long number, int[] words) {
            this.number = number;
            this.words = words;
        }
    }

    WordCache(FileMedium file) {
        this.file = file;
        for (int i = 0; i < LOCK_COUNT; i++) {
            locks[i] = new ReentrantLock();
        }
    }

    int load(long offset) throws IOException {
        long number = offset / PAGE_SIZE;
        Page page = places.getAcquire(place(number));
        if (page == null || page.number != number) {
            page = fetch(number);
        }
        return (int) WORD.getAcquire(page.words, index(offset));
    }

    void store(long offset, int word) throws IOException {
        long number = offset / PAGE_SIZE;
        Lock lock = lock(number);
        lock.lock();
        try {
            file.writeWord(offset, word);
            Page page = places.get(place(number));
            if (page != null && page.number == number) {
                WORD.setRelease(page.words, index(offset), word);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Writes a word to the file as it is. */
    void rewrite(long offset) throws IOException {
        long number = offset / PAGE_SIZE;
        Lock lock = lock(number);
        lock.lock();
        try {
            file.writeWord(offset, fetch(number).words[index(offset)]);
        } finally {
            lock.unlock();
        }
    }

    void storeAll(long offset, int[] words, int count) throws IOException {
        for (int done = 0; done < count; ) {
            long first = offset + (long) done * Integer.BYTES;
            int inPage =
                    Math.min(count - done, (int) (PAGE_SIZE - first % PAGE_SIZE) / Integer.BYTES);
            storeInPage(first, words, done, inPage);
            done += inPage;
        }
    }

    private void storeInPage(long offset, int[] words, int from, int count) throws IOException {
        long number = offset / PAGE_SIZE;
        Lock lock = lock(number);
        lock.lock();
        try {
            file.writeWords(offset, words, from, count);
            Page page = places.get(place(number));
            if (page != null && page.number == number) {
                for (int i = 0; i < count; i++) {
                    WORD.setRelease(page.words, index(offset) + i, words[from + i]);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    void storeEach(long[] offsets, int[] words) throws IOException {
        for (int from = 0; from < words.length; ) {
            long number = offsets[from] / PAGE_SIZE;
            int to = from + 1;
            while (to < words.length && offsets[to] / PAGE_SIZE == number) {
                to++;
            }
            if (to == from + 1) {
                // Which does without the page, if that is not here.
                store(offsets[from], words[from]);
            } else {
                storeEachInPage(number, offsets, words, from, to);
            }
            from = to;
        }
    }

    /** Stores words of one page by one write, and with them, as they are, those between them. */
    private void storeEachInPage(long number, long[] offsets, int[] words, int from, int to)
            throws IOException {
        Lock lock = lock(number);
        lock.lock();
        try {
            Page page = fetch(number);
            int first = index(offsets[from]);
            int[] span = Arrays.copyOfRange(page.words, first, index(offsets[to - 1]) + 1);
            for (int i = from; i < to; i++) {
                span[index(offsets[i]) - first] = words[i];
            }
            file.writeWords(offsets[from], span, 0, span.length);
            for (int i = from; i < to; i++) {
                WORD.setRelease(page.words, index(offsets[i]), words[i]);
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Whether a word is here, or could be fetched without waiting, neither for the device nor for
     * somebody who waits for it.
     */
    boolean isAtHand(long offset) {
        long number = offset / PAGE_SIZE;
        if (isHere(number)) {
            return true;
        }
        Lock lock = lock(number);
        if (!lock.tryLock()) {
            return false;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(PAGE_SIZE, Integer.BYTES);
            boolean read = file.readNow(number * PAGE_SIZE, bytes);
            if (read) {
                places.setRelease(place(number), new Page(number, words(bytes)));
            }
            return read;
        } finally {
            lock.unlock();
        }
    }

    private boolean isHere(long number) {
        Page page = places.getAcquire(place(number));
        return page != null && page.number == number;
    }

    private Page fetch(long number) throws IOException {
        Lock lock = lock(number);
        lock.lock();
        try (Arena arena = Arena.ofConfined()) {
            Page page = places.get(place(number));
            if (page == null || page.number != number) {
                MemorySegment bytes = arena.allocate(PAGE_SIZE, Integer.BYTES);
                file.read(number * PAGE_SIZE, bytes);
                page = new Page(number, words(bytes));
                places.setRelease(place(number), page);
            }
            return page;
        } finally {
            lock.unlock();
        }
    }

    private static int[] words(MemorySegment bytes) {
        return bytes.toArray(ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN));
    }

    private Lock lock(long number) {
        return locks[(int) (number % LOCK_COUNT)];
    }

    private static int place(long number) {
        return (int) (number % PLACE_COUNT);
    }

    private static int index(long offset) {
        return (int) (offset % PAGE_SIZE) / Integer.BYTES;
    }
}
