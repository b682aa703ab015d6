package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class ReadTrackingTest {
    private final ReadTracking readers = new ReadTracking();

    @Test
    void aWriterWaitsForEachReaderOfItsBlock() throws InterruptedException {
        int first = readers.enter(7, 1);
        int second = readers.enter(7, 1);
        AtomicBoolean unread = new AtomicBoolean();
        CountDownLatch waiting = new CountDownLatch(1);
        Thread writer =
                Thread.ofPlatform()
                        .start(
                                () -> {
                                    waiting.countDown();
                                    readers.awaitUnread(7);
                                    unread.set(true);
                                });
        waiting.await();

        readers.leave(first);
        assertFalse(unread.get());
        readers.leave(second);
        writer.join();
        assertTrue(unread.get());
    }

    @Test
    void aWriterDoesNotWaitForReadersOfOtherBlocks() {
        readers.enter(5, 2);
        readers.enter(8, 3);

        readers.awaitUnread(7);
        readers.awaitUnread(11);
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 9, 10})
    void aWriterWaitsForReadersOfSeveralBlocks(int block) throws InterruptedException {
        int slot = readers.enter(8, 3);
        Thread writer = Thread.ofPlatform().start(() -> readers.awaitUnread(block));

        assertFalse(writer.join(Duration.ofMillis(50)));
        readers.leave(slot);
        assertTrue(writer.join(Duration.ofSeconds(30)));
    }

    /**
     * A map entry names one of two blocks; a writer swaps them, and fills the one that it freed. A
     * reader that announced a block, and found the entry unchanged, sees it whole.
     */
    @Test
    void aBlockThatIsReadIsNotOverwritten() throws Exception {
        AtomicInteger entry = new AtomicInteger(0);
        AtomicIntegerArray blocks = new AtomicIntegerArray(2 * 16);
        AtomicBoolean done = new AtomicBoolean();
        List<Callable<Void>> tasks = new ArrayList<>();
        tasks.add(
                () -> {
                    for (int round = 1; round <= 200_000; round++) {
                        int free = 1 - entry.get();
                        readers.awaitUnread(free);
                        for (int i = 0; i < 16; i++) {
                            blocks.setPlain(free * 16 + i, round);
                        }
                        entry.set(free);
                    }
                    done.set(true);
                    return null;
                });
        for (int i = 0; i < 2; i++) {
            tasks.add(
                    () -> {
                        while (!done.get()) {
                            readOnce(entry, blocks);
                        }
                        return null;
                    });
        }
        try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
            for (Future<Void> end : threads.invokeAll(tasks)) {
                end.get();
            }
        }
    }

    private void readOnce(AtomicInteger entry, AtomicIntegerArray blocks) {
        int block = entry.get();
        int slot = readers.enter(block, 1);
        try {
            if (entry.get() == block) {
                int first = blocks.getPlain(block * 16);
                for (int i = 1; i < 16; i++) {
                    assertEquals(first, blocks.getPlain(block * 16 + i));
                }
            }
        } finally {
            readers.leave(slot);
        }
    }
}
