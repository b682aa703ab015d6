package pmemblk.pool.btt;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.junit.jupiter.api.Test;

/** Who has announced itself and looked twice reads a block that no writer fills meanwhile. */
@Param(name = "value", gen = IntGen.class, conf = "1:3")
public class ReadTrackingLincheckTest {
    private final ReadTracking readers = new ReadTracking();

    /** The map: which of the two blocks is the one to read; the other one is free. */
    private final AtomicInteger mapped = new AtomicInteger();

    private final AtomicIntegerArray firstHalves = new AtomicIntegerArray(2);
    private final AtomicIntegerArray secondHalves = new AtomicIntegerArray(2);

    /** Returns the value, or -1 if its halves differ. */
    @Operation
    public int read() {
        while (true) {
            int block = mapped.get();
            int slot = readers.enter(block, 1);
            try {
                if (mapped.get() == block) {
                    int first = firstHalves.get(block);
                    return first == secondHalves.get(block) ? first : -1;
                }
            } finally {
                readers.leave(slot);
            }
        }
    }

    @Operation(nonParallelGroup = "writer")
    public void write(@Param(name = "value") int value) {
        int free = 1 - mapped.get();
        readers.awaitUnread(free);
        firstHalves.set(free, value);
        secondHalves.set(free, value);
        mapped.set(free);
    }

    @Test
    void isLinearizable() {
        new ModelCheckingOptions()
                .threads(2)
                .actorsBefore(1)
                .actorsPerThread(2)
                .actorsAfter(0)
                .iterations(10)
                .invocationsPerIteration(2000)
                // A writer looks through all 64 places where readers announce themselves.
                .loopBound(2000)
                .loopIterationsBeforeThreadSwitch(100)
                .sequentialSpecification(Register.class)
                .check(getClass());
    }

    /** What a single thread would see. */
    public static final class Register {
        private int value;

        public int read() {
            return value;
        }

        public void write(int newValue) {
            value = newValue;
        }
    }
}
