package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.NoSpaceException;

class WriteCacheTest {
    private static final int BLOCK_SIZE = 512;
    private static final int SLOTS = 2000;

    private final Medium memory =
            new CrashMedium(Medium.Kind.TMPFS, WriteCache.size(SLOTS, BLOCK_SIZE));

    private WriteCache open(int slots) throws IOException {
        return new WriteCache(memory, 0, slots, BLOCK_SIZE, false);
    }

    private static MemorySegment content(int value) {
        byte[] bytes = new byte[BLOCK_SIZE];
        Arrays.fill(bytes, (byte) value);
        return MemorySegment.ofArray(bytes);
    }

    private static void put(WriteCache cache, long block, int value) throws IOException {
        assertEquals(BLOCK_SIZE, cache.put(block, content(value)));
    }

    private static void requireContent(WriteCache cache, long block, int value) throws IOException {
        MemorySegment found = content(0);
        assertEquals(BLOCK_SIZE, cache.read(block, 0, found), "block " + block);
        assertEquals(-1, found.mismatch(content(value)), "block " + block);
    }

    @Test
    void takesBlocksAsFarAsThereIsRoom() throws IOException {
        WriteCache cache = open(3);
        byte[] five = new byte[5 * BLOCK_SIZE];

        assertEquals(3 * BLOCK_SIZE, cache.put(7, MemorySegment.ofArray(five)));

        assertTrue(cache.contains(9));
        assertFalse(cache.contains(10));
        assertEquals(0, cache.put(7, content(1)));
        cache.forget(8, 1, cache.lastSeq());
        put(cache, 7, 1);
        requireContent(cache, 7, 1);
    }

    @Test
    void readsAPartOfABlock() throws IOException {
        WriteCache cache = open(1);
        byte[] bytes = new byte[BLOCK_SIZE];
        bytes[500] = 9;
        cache.put(1, MemorySegment.ofArray(bytes));

        MemorySegment target = MemorySegment.ofArray(new byte[100]);
        assertEquals(12, cache.read(1, 500, target));

        assertEquals(9, target.get(ValueLayout.JAVA_BYTE, 0));
    }

    @Test
    void aBlockKeepsItsPlaceInTheLineWhenItIsWrittenAgain() throws IOException {
        WriteCache cache = open(SLOTS);
        put(cache, 1, 1);
        put(cache, 2, 2);
        long asked = cache.lastSeq();
        put(cache, 1, 3);

        assertEquals(1, cache.oldest(asked));
        assertTrue(cache.copy(1, asked, content(0)));
        assertEquals(-1, cache.oldest(0));
    }

    @Test
    void aBlockThatIsWrittenAgainWhileItIsBroughtIsWantedForTheLaterWriteAlone()
            throws IOException {
        WriteCache cache = open(SLOTS);
        put(cache, 1, 1);
        put(cache, 2, 2);
        long brought = cache.lastSeq();
        put(cache, 1, 3);
        put(cache, 3, 3);
        cache.forget(1, 1, brought);

        assertEquals(2, cache.oldest(brought));
        assertFalse(cache.copy(1, brought, content(0)));
        cache.forget(2, 1, brought);
        assertEquals(-1, cache.oldest(brought));
        assertEquals(1, cache.oldest(brought + 1));
        requireContent(cache, 1, 3);
    }

    @Test
    void tellsWhatIsHereAndWhatIsNot() throws IOException {
        WriteCache cache = open(SLOTS);
        for (int block : new int[] {9, 3, 5, 4}) {
            put(cache, block, block);
        }

        assertArrayEquals(new long[] {3, 4, 5, 9}, cache.presentFrom(0, 1L << 40));
        assertArrayEquals(new long[] {4, 5}, cache.presentFrom(4, 3));
        assertEquals(3, cache.absentFrom(6, 10));
        assertEquals(2, cache.absentFrom(6, 2));
        cache.forget(4, 1L << 40, cache.lastSeq());
        assertArrayEquals(new long[] {3}, cache.presentFrom(0, 100));
        assertFalse(cache.isEmpty());
        cache.forget(0, 100, cache.lastSeq());
        assertTrue(cache.isEmpty());
    }

    @Test
    void doesWithTheMemoryThatItGets() throws IOException {
        Medium small =
                new DelegatingMedium(memory) {
                    private long left = 600L * BLOCK_SIZE;

                    @Override
                    public void allocate(long offset, long length) throws IOException {
                        left -= length;
                        if (left < 0) {
                            throw new NoSpaceException("memory", "no space left");
                        }
                    }
                };
        WriteCache cache = new WriteCache(small, 0, SLOTS, BLOCK_SIZE, false);
        int taken = 0;
        while (cache.put(taken, content(taken)) > 0) {
            taken++;
        }

        assertEquals(512, taken);
        cache.forget(100, 1, cache.lastSeq());
        put(cache, 100, 7);
    }

    @Test
    void givesItsMemoryBackWhenItIsEmpty() throws IOException {
        WriteCache cache = open(SLOTS);
        put(cache, 1, 1);
        cache.shrink();
        requireContent(cache, 1, 1);

        cache.forget(1, 1, cache.lastSeq());
        cache.shrink();
        put(cache, 2, 2);

        requireContent(cache, 2, 2);
        requireContent(open(SLOTS), 2, 2);
    }

    /** Beside a map of what it should have, opened again and again. */
    @Test
    void hasTheLastWriteOfEachBlockWhateverHappens() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        Map<Long, Integer> expected = new HashMap<>();
        WriteCache cache = open(SLOTS);
        for (int step = 0; step < 50_000; step++) {
            long block = random.nextInt(1500) * (random.nextBoolean() ? 1L : 1L << 32);
            switch (random.nextInt(1000)) {
                case 0 -> cache = open(SLOTS);
                case 1 -> {
                    cache.forget(0, 700, cache.lastSeq());
                    expected.keySet().removeIf(any -> any < 700);
                }
                default -> {
                    if (random.nextInt(3) == 0) {
                        cache.forget(block, 1, cache.lastSeq());
                        expected.remove(block);
                    } else if (cache.put(block, content(step)) > 0) {
                        expected.put(block, step);
                    }
                }
            }
        }

        assertTrue(expected.size() > 1000);
        WriteCache last = open(SLOTS);
        for (Map.Entry<Long, Integer> entry : expected.entrySet()) {
            requireContent(cache, entry.getKey(), entry.getValue());
            requireContent(last, entry.getKey(), entry.getValue());
        }
        assertEquals(expected.size(), last.presentFrom(0, 1L << 50).length);
        for (int brought = 0; !expected.isEmpty(); brought++) {
            long block = last.oldest(last.lastSeq());
            assertTrue(expected.remove(block) != null, "brought before it: " + brought);
            last.forget(block, 1, last.lastSeq());
        }
        assertTrue(last.isEmpty());
    }
}
