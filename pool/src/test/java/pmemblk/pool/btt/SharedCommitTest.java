package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SharedCommitTest {
    private static final int CALLERS = 16;
    private static final int ROUNDS = 200;
    private static final long STEP_NANOS = 500_000;

    private static final long SLOW_STEP_NANOS = 500_000_000;

    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final AtomicInteger steps = new AtomicInteger();

    /** Commits begun and complete; of the steps, of which there is one at a time. */
    private volatile int begun;

    private volatile int complete;

    @AfterEach
    void endThreads() {
        threads.shutdownNow();
    }

    /** A step that takes a while and puts nothing off. */
    private SharedCommit.Progress step(boolean begin) {
        int before = begun;
        if (begin) {
            begun = before + 1;
        }
        steps.incrementAndGet();
        LockSupport.parkNanos(STEP_NANOS);
        complete = before;
        return begin ? SharedCommit.Progress.BEGUN : SharedCommit.Progress.COMPLETE;
    }

    private static void await(CountDownLatch event) throws IOException {
        try {
            event.await();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    /** So many callers who come back as soon as they are served. */
    private void callAgainAndAgain(SharedCommit shared, int callers)
            throws ExecutionException, InterruptedException {
        List<Future<?>> clients = new ArrayList<>();
        for (int i = 0; i < callers; i++) {
            clients.add(
                    threads.submit(
                            () -> {
                                for (int round = 0; round < ROUNDS; round++) {
                                    int before = begun;
                                    shared.await();
                                    assertTrue(complete > before);
                                }
                                return null;
                            }));
        }
        for (Future<?> client : clients) {
            client.get();
        }
    }

    @Test
    void aCommitIsCompleteThatBeganAfterTheCall() throws Exception {
        callAgainAndAgain(new SharedCommit(this::step, threads), CALLERS);

        assertEquals(begun, complete);
    }

    /** So many callers who do not wait, but come back when they are told that they are served. */
    private CompletableFuture<Void> beginAgainAndAgain(SharedCommit shared, int rounds) {
        int before = begun;
        CompletableFuture<Void> outcome =
                CompletableFuture.supplyAsync(() -> shared.begin(1), threads)
                        .thenCompose(told -> told)
                        .thenRun(() -> assertTrue(complete > before));
        return rounds == 1
                ? outcome
                : outcome.thenCompose(none -> beginAgainAndAgain(shared, rounds - 1));
    }

    @Test
    void whoGoesAwayIsToldOfACommitThatBeganAfterTheCall() throws Exception {
        SharedCommit shared = new SharedCommit(this::step, threads);
        List<CompletableFuture<Void>> clients = new ArrayList<>();
        for (int i = 0; i < CALLERS; i++) {
            clients.add(beginAgainAndAgain(shared, ROUNDS));
        }
        callAgainAndAgain(shared, 2);
        for (CompletableFuture<Void> client : clients) {
            client.get();
        }

        assertEquals(begun, complete);
    }

    @Test
    void onlyTheFirstCallerWaitsWhoeverComesBehind() throws Exception {
        CountDownLatch stepping = new CountDownLatch(1);
        CountDownLatch go = new CountDownLatch(1);
        SharedCommit shared =
                new SharedCommit(
                        begin -> {
                            stepping.countDown();
                            await(go);
                            return step(begin);
                        },
                        threads);
        Future<?> first = threads.submit(() -> shared.begin(1).join());
        stepping.await();

        CompletableFuture<Void> second = shared.begin(1);
        assertFalse(second.isDone());
        go.countDown();

        first.get();
        second.get();
    }

    @Test
    void commitsThatOverlapTakeOneStepEach() throws Exception {
        callAgainAndAgain(new SharedCommit(this::step, threads), CALLERS);

        // A caller gets at best every second step; if nothing overlapped it would be every fourth.
        assertTrue(steps.get() >= 2 * ROUNDS);
        assertTrue(steps.get() <= 3 * ROUNDS + 3 * CALLERS, () -> steps + " steps");
    }

    @Test
    void whoWasServedTogetherIsWaitedForAtTheNextCommit() throws Exception {
        SharedCommit shared = new SharedCommit(this::slowStep, threads, Long.MAX_VALUE);
        shared.begin(2).join();
        CompletableFuture<Void> first =
                CompletableFuture.supplyAsync(() -> shared.begin(1), threads)
                        .thenCompose(told -> told);
        LockSupport.parkNanos(SLOW_STEP_NANOS / 10);
        CompletableFuture<Void> second = shared.begin(1);
        first.join();
        second.join();

        assertEquals(2, begun);
    }

    @Test
    void whoDoesNotComeAgainIsWaitedForOnce() throws Exception {
        SharedCommit shared = new SharedCommit(this::slowStep, threads, Long.MAX_VALUE);
        shared.begin(2).join();
        long start = System.nanoTime();
        shared.await();
        shared.await();

        // Of the five lengths of a step, four are for the commits.
        long took = System.nanoTime() - start;
        assertTrue(took >= 5 * SLOW_STEP_NANOS, () -> took + " ns");
        assertTrue(took < 6 * SLOW_STEP_NANOS, () -> took + " ns");
    }

    private SharedCommit.Progress slowStep(boolean begin) {
        LockSupport.parkNanos(SLOW_STEP_NANOS);
        return step(begin);
    }

    @Test
    void aCommitAloneTakesTwoSteps() throws Exception {
        callAgainAndAgain(new SharedCommit(this::step, threads), 1);

        assertEquals(2 * ROUNDS, steps.get());
    }

    @Test
    void aCommitWithNothingToDoTakesOneStep() throws Exception {
        SharedCommit shared =
                new SharedCommit(
                        begin -> {
                            steps.incrementAndGet();
                            return SharedCommit.Progress.COMPLETE;
                        },
                        threads);
        shared.await();

        assertEquals(1, steps.get());
    }

    @Test
    void whatIsPutOffIsBegunByTheNextStep() throws Exception {
        List<Boolean> begins = new ArrayList<>();
        SharedCommit shared =
                new SharedCommit(
                        begin -> {
                            begins.add(begin);
                            return begins.size() == 1
                                    ? SharedCommit.Progress.PUT_OFF
                                    : begins.size() == 2
                                            ? SharedCommit.Progress.BEGUN
                                            : SharedCommit.Progress.COMPLETE;
                        },
                        threads);
        shared.await();

        assertEquals(List.of(true, true, false), begins);
    }

    @Test
    void everyCallerOfAFailedCommitLearnsWhy() throws Exception {
        CountDownLatch mayFail = new CountDownLatch(1);
        SharedCommit shared =
                new SharedCommit(
                        begin -> {
                            await(mayFail);
                            throw new IOException("medium error");
                        },
                        threads);
        List<Future<?>> calls = new ArrayList<>();
        for (int i = 0; i < CALLERS; i++) {
            calls.add(
                    threads.submit(
                            () -> {
                                shared.await();
                                return null;
                            }));
            calls.add(threads.submit(() -> shared.begin(1).get()));
        }
        mayFail.countDown();
        for (Future<?> call : calls) {
            ExecutionException e = assertThrows(ExecutionException.class, call::get);
            assertTrue(String.valueOf(e.getMessage()).contains("medium error"));
        }
    }
}
