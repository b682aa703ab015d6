package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ByteBudgetTest {
    private final ByteBudget budget = new ByteBudget(10);
    private final List<String> woken = new ArrayList<>();

    @Test
    void givesWhatThereIs() {
        assertTrue(budget.take(6, bytes -> woken.add("a")));
        assertTrue(budget.take(4, bytes -> woken.add("b")));
        assertFalse(budget.take(1, bytes -> woken.add("c")));

        assertEquals(10, budget.used());
        assertEquals(List.of(), woken);
    }

    @Test
    void wakesInTheOrderOfAskingAndLetsNobodyJumpTheLine() {
        assertTrue(budget.take(8, bytes -> {}));
        assertFalse(budget.take(6, bytes -> woken.add("large")));
        assertFalse(budget.take(1, bytes -> woken.add("small")));

        budget.give(3);
        assertEquals(List.of(), woken);
        budget.give(5);

        assertEquals(List.of("large", "small"), woken);
        assertEquals(7, budget.used());
    }
}
