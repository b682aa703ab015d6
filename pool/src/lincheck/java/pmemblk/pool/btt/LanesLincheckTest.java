package pmemblk.pool.btt;

import java.util.concurrent.atomic.AtomicIntegerArray;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Test;

/** No lane is lent twice at a time, whoever takes and gives back meanwhile. */
public class LanesLincheckTest {
    private static final int LANES = 2;

    private final Lanes lanes = new Lanes(LANES);
    private final AtomicIntegerArray owners = new AtomicIntegerArray(LANES);

    /** Returns whether the lane, if there was one, was this caller's alone. */
    @Operation
    public boolean use() {
        int lane = lanes.tryTake();
        return lane < 0 || useAndGive(lane);
    }

    @Operation
    public boolean waitAndUse() {
        return useAndGive(lanes.take());
    }

    @Operation
    public boolean useTheLast() {
        return !lanes.tryTake(LANES - 1) || useAndGive(LANES - 1);
    }

    private boolean useAndGive(int lane) {
        boolean alone = owners.getAndIncrement(lane) == 0;
        alone &= owners.decrementAndGet(lane) == 0;
        lanes.give(lane);
        return alone;
    }

    @Test
    void isSound() {
        new ModelCheckingOptions()
                .threads(3)
                .actorsBefore(0)
                .actorsPerThread(2)
                .actorsAfter(0)
                .iterations(10)
                .invocationsPerIteration(5000)
                .sequentialSpecification(Always.class)
                .check(LanesLincheckTest.class);
    }

    /** What a single thread would see. */
    public static final class Always {
        public boolean use() {
            return true;
        }

        public boolean waitAndUse() {
            return true;
        }

        public boolean useTheLast() {
            return true;
        }
    }
}
