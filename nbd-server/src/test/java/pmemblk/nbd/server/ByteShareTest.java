package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.Queue;
import org.junit.jupiter.api.Test;

class ByteShareTest {
    private final ByteBudget budget = new ByteBudget(100);
    private final Queue<Runnable> loop = new ArrayDeque<>();
    private int admitted;

    private ByteShare share(long limit) {
        return new ByteShare(budget, limit, loop::add, () -> admitted++);
    }

    private void runLoop() {
        for (Runnable task = loop.poll(); task != null; task = loop.poll()) {
            task.run();
        }
    }

    @Test
    void requestBeyondTheShareWaitsUntilEnoughIsGivenBack() {
        ByteShare share = share(50);
        assertTrue(share.take(20));
        assertTrue(share.take(20));
        assertFalse(share.take(30));

        share.give(10);
        runLoop();
        assertEquals(0, admitted);

        share.give(10);
        runLoop();
        assertEquals(1, admitted);
        assertEquals(50, budget.used());
    }

    @Test
    void loneRequestMayBeLargerThanTheShare() {
        ByteShare share = share(50);

        assertTrue(share.take(80));
        assertFalse(share.take(1));
        share.give(80);
        runLoop();

        assertEquals(1, admitted);
        assertEquals(1, budget.used());
    }

    @Test
    void requestThatWaitsForTheOthersIsAdmittedByTheLoop() {
        ByteShare first = share(100);
        ByteShare second = share(100);
        assertTrue(first.take(90));
        assertFalse(second.take(20));

        first.give(90);
        assertEquals(0, admitted);
        runLoop();

        assertEquals(1, admitted);
        second.give(20);
        assertEquals(0, budget.used());
    }

    @Test
    void whatIsGrantedToAClosedConnectionIsGivenBack() {
        ByteShare first = share(100);
        ByteShare second = share(100);
        assertTrue(first.take(90));
        assertFalse(second.take(20));
        second.close();

        first.give(90);
        runLoop();

        assertEquals(0, admitted);
        assertEquals(0, budget.used());
    }
}
