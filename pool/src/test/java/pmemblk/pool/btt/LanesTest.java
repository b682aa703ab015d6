package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class LanesTest {

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 64, 65, 256})
    void noLaneHasTwoOwnersAndNoneIsLost(int laneCount) throws Exception {
        Lanes lanes = new Lanes(laneCount);
        AtomicIntegerArray owners = new AtomicIntegerArray(laneCount);
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            tasks.add(
                    () -> {
                        for (int round = 0; round < 20_000; round++) {
                            int any = round % laneCount;
                            int lane = lanes.tryTake(any) ? any : lanes.take();
                            assertEquals(1, owners.incrementAndGet(lane));
                            owners.decrementAndGet(lane);
                            lanes.give(lane);
                        }
                        return null;
                    });
        }
        try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
            for (Future<Void> done : threads.invokeAll(tasks)) {
                done.get();
            }
        }
        for (int i = 0; i < laneCount; i++) {
            assertTrue(lanes.tryTake() >= 0);
        }
        assertEquals(-1, lanes.tryTake());
    }

    @Test
    void aCertainLaneIsTakenOnlyOnce() {
        Lanes lanes = new Lanes(3);
        lanes.take(1);

        assertEquals(0, lanes.take());
        assertEquals(2, lanes.take());
        assertEquals(-1, lanes.tryTake());
        lanes.give(1);
        assertEquals(1, lanes.tryTake());
    }
}
