package pmemblk.pool.btt;

import java.util.ArrayDeque;
import java.util.Deque;

/** Lends numbers, from 0 up: the one that was given back last, or else a new one. Thread-safe. */
final class Slots {
    private final int count;
    private final Deque<Integer> idle = new ArrayDeque<>();
    private int used;

    Slots(int count) {
        this.count = count;
    }

    /** Takes a number below the count, or returns -1 if there is none left. */
    synchronized int take() {
        if (!idle.isEmpty()) {
            return idle.pop();
        }
        return used < count ? used++ : -1;
    }

    synchronized void give(int slot) {
        idle.push(slot);
    }
}
