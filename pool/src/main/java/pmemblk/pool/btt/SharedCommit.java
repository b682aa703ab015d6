package pmemblk.pool.btt;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;

/**
 * Callers at the same time share a commit: the first that begins after all of them have come. Of
 * those who find none under way, the first carries out the steps for all until it is served; a
 * deputy does for who is left then, until nobody is. Thread-safe.
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

    /** A caller by its number, and how it learns that it is served. */
    private record Caller(long number, CompletableFuture<Void> outcome) {}

    private final Steps steps;
    private final Executor deputy;

    // All guarded by this object's monitor: those who are not served, first come first; and the
    // number of the last caller that came, of the last whose commit has begun, and of the last
    // whose commit is complete.
    private final Queue<Caller> callers = new ArrayDeque<>();
    private long came;
    private long begun;
    private long served;

    /** Whether somebody takes the steps. */
    private boolean led;

    /**
     * Nobody has come.
     *
     * @param deputy has a thread for one task at a time
     */
    SharedCommit(Steps steps, Executor deputy) {
        this.steps = steps;
        this.deputy = deputy;
    }

    /** Returns once a commit is complete that began after this call did. */
    void await() throws IOException {
        try {
            begin().join();
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
     * @return completes with the commit; what depends on it is to be brief, as others wait behind
     */
    CompletableFuture<Void> begin() {
        CompletableFuture<Void> outcome = new CompletableFuture<>();
        boolean leads;
        synchronized (this) {
            callers.add(new Caller(++came, outcome));
            leads = !led;
            led = true;
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
        boolean begin;
        long covered;
        synchronized (this) {
            begin = came > begun;
            covered = came;
        }
        try {
            Progress progress = steps.step(begin);
            advance(begin ? covered : 0, progress).forEach(outcome -> outcome.complete(null));
        } catch (IOException | RuntimeException | Error e) {
            // It would be the same for those who have come meanwhile.
            failAll().forEach(outcome -> outcome.completeExceptionally(e));
        }
    }

    private synchronized List<CompletableFuture<Void>> advance(long asked, Progress progress) {
        served = begun;
        if (asked > 0 && progress != Progress.PUT_OFF) {
            begun = asked;
        }
        if (progress == Progress.COMPLETE) {
            served = begun;
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
        for (Caller next = callers.peek();
                next != null && next.number() <= served;
                next = callers.peek()) {
            callers.remove();
            outcomes.add(next.outcome());
        }
        return outcomes;
    }
}
