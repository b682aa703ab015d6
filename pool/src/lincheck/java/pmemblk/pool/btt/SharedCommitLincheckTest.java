package pmemblk.pool.btt;

import java.io.IOException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.junit.jupiter.api.Test;

/**
 * Whoever asks for a commit is told of one that began after the call, however callers, the leader
 * and the deputy hand the steps to each other; under real threads.
 */
public class SharedCommitLincheckTest {
    private static final ExecutorService DEPUTY =
            Executors.newCachedThreadPool(Thread.ofPlatform().daemon().factory());

    private final AtomicInteger changes = new AtomicInteger();
    private final AtomicInteger durable = new AtomicInteger();

    /** The changes of which a commit has begun; of one step at a time. */
    private volatile int begun;

    private final SharedCommit commit = new SharedCommit(this::step, DEPUTY, 0);

    private SharedCommit.Progress step(boolean begin) {
        int before = begun;
        // As where the next batch has a block of the one that is being logged.
        boolean putOff = begin && before > durable.get() && changes.get() % 2 == 0;
        if (begin && !putOff) {
            begun = changes.get();
        }
        durable.set(before);
        if (putOff) {
            return SharedCommit.Progress.PUT_OFF;
        }
        return begun == before ? SharedCommit.Progress.COMPLETE : SharedCommit.Progress.BEGUN;
    }

    /** Returns whether a change is durable once its maker was told so. */
    @Operation
    public boolean changeAndWait() throws IOException {
        int mine = changes.incrementAndGet();
        commit.await();
        return durable.get() >= mine;
    }

    /** The same with somebody else told. */
    @Operation
    public boolean changeAndBeTold() {
        int mine = changes.incrementAndGet();
        return commit.begin(2).thenApply(none -> durable.get() >= mine).join();
    }

    @Test
    void isSound() {
        new StressOptions()
                .threads(3)
                .actorsBefore(0)
                .actorsPerThread(3)
                .actorsAfter(0)
                .iterations(20)
                .invocationsPerIteration(2000)
                .sequentialSpecification(Always.class)
                .check(getClass());
    }

    /** What a single thread would see. */
    public static final class Always {
        public boolean changeAndWait() {
            return true;
        }

        public boolean changeAndBeTold() {
            return true;
        }
    }
}
