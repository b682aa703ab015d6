package pmemblk.pool.btt;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Callers at the same time share a commit: the first that begins after all of them have come. Of
 * those who find none under way, the first carries out the steps for all until it is served; a
 * deputy does for who is left then, until nobody is. Those who were served together are expected to
 * come again, and waited for a little, since one commit for all costs less than two. Thread-safe.
 */
final class SharedCommit {
    /** How far a step has brought those who had asked for a commit before it. */
    enum Progress {
        /** The next step completes their commit. */
        BEGUN,
        /** It is complete, and no step is due. */
        COMPLETE,
        /** It has not begun; the commit before it is complete. */
        PUT_OFF
    }

    /** Commits of two steps each, of which the second may begin the next commit, too. */
    interface Steps {
        /**
         * Completes the commit that the step before has begun, if there is one.
         *
         * @param begin whether to begin one as well
         */
        Progress step(boolean begin) throws IOException;
    }

    /** Callers who come as one: the number of the last, and how they learn that they are served. */
    private record Callers(long number, CompletableFuture<Void> outcome) {}

    /** How long callers who are not there yet are waited for, at most. */
    private static final long MAX_PATIENCE_NANOS = 500_000;

    private final Steps steps;
    private final Executor deputy;
    private final long maxPatienceNanos;

    // All guarded by this object's monitor: those who are not served, first come first; and the
    // number of the last caller that came, of the last whose commit has begun, and of the last
    // whose commit is complete.
    private final Queue<Callers> callers = new ArrayDeque<>();
    private long came;
    private long begun;
    private long served;

    /** Whether somebody takes the steps. */
    private boolean led;

    /** How many had called and were not served when the last were served. */
    private long usualCallers;

    /** Who waits for more callers, if somebody does. */
    private @Nullable Thread gathering;

    /** How long the last step took. */
    private volatile long stepNanos;

    /**
     * Nobody has come.
     *
     * @param deputy has a thread for one task at a time
     */
    SharedCommit(Steps steps, Executor deputy) {
        this(steps, deputy, MAX_PATIENCE_NANOS);
    }

    SharedCommit(Steps steps, Executor deputy, long maxPatienceNanos) {
        this.steps = steps;
        this.deputy = deputy;
        this.maxPatienceNanos = maxPatienceNanos;
    }

    /** Returns once a commit is complete that began after this call did. */
    void await() throws IOException {
        try {
            begin(1).join();
        } catch (CompletionException e) {
            switch (e.getCause()) {
                case IOException cause -> throw cause;
                case RuntimeException cause -> throw cause;
                case Error cause -> throw cause;
                case null, default -> throw e;
            }
        }
    }

    /**
     * Has a commit begin after this call did. Waits for it only if nobody else carries it out.
     *
     * @param count how many call as one
     * @return completes with the commit; what depends on it is to be brief, as others wait behind
     */
    CompletableFuture<Void> begin(int count) {
        CompletableFuture<Void> outcome = new CompletableFuture<>();
        boolean leads;
        synchronized (this) {
            came += count;
            callers.add(new Callers(came, outcome));
            leads = !led;
            led = true;
            if (gathering != null && areTogether()) {
                LockSupport.unpark(gathering);
            }
        }
        if (leads) {
            do {
                step();
            } while (!outcome.isDone());
            if (othersWait()) {
                leaveToDeputy();
            }
        }
        return outcome;
    }

    /** Whether somebody takes steps, so that a caller now would not have to. */
    synchronized boolean isUnderWay() {
        return led;
    }

    private void leaveToDeputy() {
        try {
            deputy.execute(this::serveAll);
        } catch (OutOfMemoryError noThread) {
            serveAll();
        }
    }

    private void serveAll() {
        do {
            step();
        } while (othersWait());
    }

    private synchronized boolean othersWait() {
        led = !callers.isEmpty();
        return led;
    }

    /** Takes a step, and tells those whom it serves. */
    private void step() {
        boolean begin = gather();
        long covered;
        synchronized (this) {
            covered = came;
        }
        long start = System.nanoTime();
        try {
            Progress progress = steps.step(begin);
            stepNanos = System.nanoTime() - start;
            advance(begin ? covered : 0, progress).forEach(outcome -> outcome.complete(null));
        } catch (IOException | RuntimeException | Error e) {
            // It would be the same for those who have come meanwhile.
            failAll().forEach(outcome -> outcome.completeExceptionally(e));
        }
    }

    /**
     * Waits for as many callers as usual, but no longer than a step takes: to begin with the few
     * who are there would have the others wait for two commits.
     *
     * @return whether the next step is to begin a commit
     */
    private boolean gather() {
        synchronized (this) {
            long amid = begun - served;
            if (amid > 0 && amid >= usualCallers - amid) {
                // They are served by the next step, and may then come again.
                return came - begun >= amid;
            }
            gathering = Thread.currentThread();
        }
        long patience = Math.min(stepNanos, maxPatienceNanos);
        long start = System.nanoTime();
        long waited = 0;
        while (waited < patience && !areTogether()) {
            LockSupport.parkNanos(this, patience - waited);
            waited = System.nanoTime() - start;
        }
        synchronized (this) {
            gathering = null;
            return came > begun;
        }
    }

    /** Whether as many callers are there as usual. */
    private synchronized boolean areTogether() {
        return came - served >= usualCallers;
    }

    private synchronized List<CompletableFuture<Void>> advance(long asked, Progress progress) {
        long before = served;
        served = begun;
        if (asked > 0 && progress != Progress.PUT_OFF) {
            begun = asked;
        }
        if (progress == Progress.COMPLETE) {
            served = begun;
        }
        if (served > before) {
            usualCallers = came - before;
        }
        return takeServed();
    }

    private synchronized List<CompletableFuture<Void>> failAll() {
        begun = came;
        served = came;
        return takeServed();
    }

    private List<CompletableFuture<Void>> takeServed() {
        List<CompletableFuture<Void>> outcomes = new ArrayList<>();
        for (Callers next = callers.peek();
                next != null && next.number() <= served;
                next = callers.peek()) {
            callers.remove();
            outcomes.add(next.outcome());
        }
        return outcomes;
    }
}
