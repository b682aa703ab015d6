package pmemblk.pool.media;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileMediumTest {
    private static final int WORDS = 3 * WordCache.PAGE_SIZE / Integer.BYTES;
    private static final int ROUNDS = 20_000;
    private static final ByteOrder LITTLE_ENDIAN = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfInt WORD = ValueLayout.JAVA_INT.withOrder(LITTLE_ENDIAN);

    @TempDir private Path folder;
    private Path path = Path.of("");

    @BeforeEach
    void makeFile() throws IOException {
        path = folder.resolve("words");
        write(IntStream.range(0, WORDS).toArray());
    }

    private void write(int[] words) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(WORDS * Integer.BYTES).order(LITTLE_ENDIAN);
        bytes.asIntBuffer().put(words);
        Files.write(path, bytes.array());
    }

    private int[] read() throws IOException {
        int[] words = new int[WORDS];
        ByteBuffer.wrap(Files.readAllBytes(path)).order(LITTLE_ENDIAN).asIntBuffer().get(words);
        return words;
    }

    private Medium open() throws IOException {
        return new FileMedium(LockedFile.open(path, false));
    }

    @Test
    void wordsHereAndThereAreStoredAndThoseBetweenThemStay() throws IOException {
        int[] places = {0, 2, 1023, 1024, 2058, 2060, 3071};
        int[] expected = read();
        for (int place : places) {
            expected[place] = -place - 1;
        }

        int[] loaded = new int[WORDS];
        try (Medium medium = open()) {
            // One page is known before, the others are not.
            assertEquals(3000, medium.load(3000 * Integer.BYTES));
            medium.storeEach(
                    IntStream.of(places).mapToLong(place -> (long) place * Integer.BYTES).toArray(),
                    IntStream.of(places).map(place -> -place - 1).toArray());
            medium.loadAll(0, loaded, WORDS);
        }

        assertArrayEquals(expected, loaded);
        assertArrayEquals(expected, read());
    }

    @Test
    void whoReservesAWordUndoesNothingThatAnotherStoresThere() throws Exception {
        AtomicBoolean ended = new AtomicBoolean();
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            // With a hole behind it, so that there is something to reserve.
            file.setLength(1 << 20);
        }
        try (Medium medium = open();
                ExecutorService other = Executors.newSingleThreadExecutor()) {
            Future<?> reserving =
                    other.submit(
                            () -> {
                                while (!ended.get()) {
                                    medium.reserve(0);
                                }
                                return null;
                            });
            try {
                for (int i = 0; i < ROUNDS; i++) {
                    medium.store(0, i);
                    medium.store(Integer.BYTES, i);
                    assertEquals(i, medium.load(0), "round " + i);
                }
            } finally {
                ended.set(true);
            }
            reserving.get();
        }
    }

    @Test
    void whoStoresWordsHereAndThereUndoesNothingThatAnotherStoresBetweenThem() throws Exception {
        AtomicBoolean ended = new AtomicBoolean();
        try (Medium medium = open();
                ExecutorService other = Executors.newSingleThreadExecutor()) {
            Future<?> even =
                    other.submit(
                            () -> {
                                for (int i = 0; !ended.get(); i++) {
                                    medium.storeEach(new long[] {0, 400 * 8}, new int[] {i, i});
                                }
                                return null;
                            });
            try (Arena memory = Arena.ofConfined()) {
                MemorySegment stored = memory.allocate(Integer.BYTES);
                for (int i = 0; i < ROUNDS; i++) {
                    long offset = 4 + i % 400 * 8L;
                    medium.store(offset, i);
                    // Whoever began before has ended by the next round.
                    medium.store(offset + 8, i);
                    medium.read(offset, stored);
                    assertEquals(i, stored.get(WORD, 0), "round " + i);
                }
            } finally {
                ended.set(true);
            }
            even.get();
        }
    }
}
