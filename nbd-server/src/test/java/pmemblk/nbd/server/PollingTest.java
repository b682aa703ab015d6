package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.netty.channel.SelectStrategy;
import org.junit.jupiter.api.Test;

class PollingTest {
    private static final int CONTINUE = SelectStrategy.CONTINUE;
    private static final int SELECT = SelectStrategy.SELECT;

    private long now = -1;
    private final SelectStrategy polling = new Polling(50_000, () -> now);

    /** What the loop does, so long after it last asked and with so many events there. */
    private int after(long nanos, int ready) throws Exception {
        now += nanos;
        return polling.calculateStrategy(() -> ready, false);
    }

    private int lookInVain() throws Exception {
        int looks = 0;
        while (after(2_000, 0) == CONTINUE) {
            looks++;
        }
        return looks;
    }

    @Test
    void looksForSoLongAndThenSleeps() throws Exception {
        assertEquals(1, after(0, 1));
        assertEquals(26, lookInVain());
        assertEquals(SELECT, after(0, 0));
    }

    @Test
    void looksOnAfterEachEventThatCameInTime() throws Exception {
        for (int i = 0; i < 1000; i++) {
            assertEquals(3, after(10_000, 3));
            assertEquals(CONTINUE, after(1_000, 0));
            assertEquals(CONTINUE, after(10_000, 0));
        }
    }

    @Test
    void sleepsAtOnceForMoreAndMoreEventsWhileNothingComesInTime() throws Exception {
        int looks = 0;
        for (int event = 0; event < 10_000; event++) {
            assertEquals(1, after(1_000_000, 1));
            if (lookInVain() > 0) {
                looks++;
            }
        }
        // After the first few of them, once in 257 events.
        assertEquals(10_000 / 257 + 8, looks, 2);
    }

    @Test
    void looksAgainAtEveryEventOnceOneCameInTime() throws Exception {
        for (int event = 0; event < 100; event++) {
            after(1_000_000, 1);
            lookInVain();
        }
        while (after(2_000, 0) != CONTINUE) {
            after(1_000_000, 1);
        }
        assertEquals(1, after(2_000, 1));

        assertNotEquals(0, lookInVain());
    }

    @Test
    void sleepsIfAnotherThreadWantsTheProcessor() throws Exception {
        after(0, 1);
        assertEquals(CONTINUE, after(0, 0));
        assertEquals(SELECT, after(16_000, 0));
    }

    @Test
    void doesNotLookWhileThereAreTasks() throws Exception {
        assertEquals(0, polling.calculateStrategy(() -> 0, true));
    }

    @Test
    void canBeSwitchedOff() throws Exception {
        SelectStrategy off = Polling.of(0);

        assertEquals(SELECT, off.calculateStrategy(() -> 0, false));
        assertInstanceOf(Polling.class, Polling.of(50));
    }
}
