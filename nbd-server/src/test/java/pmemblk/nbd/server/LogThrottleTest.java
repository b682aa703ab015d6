package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class LogThrottleTest {
    private final AtomicLong now = new AtomicLong();
    private final LogThrottle throttle = new LogThrottle(now::get);

    private List<Long> logged(int count) {
        List<Long> numbers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            long number = throttle.numberIfDue();
            if (number > 0) {
                numbers.add(number);
            }
        }
        return numbers;
    }

    @Test
    void millionEventsAreTwentyLines() {
        assertEquals(20, logged(1_000_000).size());
    }

    @Test
    void firstSecondFourthAndSoOnAreLogged() {
        assertEquals(List.of(1L, 2L, 4L, 8L, 16L), logged(31));
    }

    @Test
    void eventAfterAMinuteOfNoneLoggedIsLogged() {
        logged(10);
        now.addAndGet(TimeUnit.SECONDS.toNanos(59));
        assertEquals(List.of(), logged(1));
        now.addAndGet(TimeUnit.SECONDS.toNanos(1));
        assertEquals(List.of(12L), logged(1));
        assertEquals(List.of(16L), logged(4));
    }
}
