package pmemblk.pool.btt;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The lines of one arena that have filled blocks, and some that had. Lines are put and removed
 * under their locks; looking up takes none.
 */
final class FilledLines {
    private final ConcurrentMap<Integer, FilledLine> lines = new ConcurrentHashMap<>();

    /** No less than the number of lines, and cheaper to ask. */
    private final AtomicInteger count = new AtomicInteger();

    boolean isEmpty() {
        return count.get() == 0;
    }

    /** The line that a block is in, or null if there is none. */
    @Nullable FilledLine of(int premapLba) {
        return isEmpty() ? null : lines.get(premapLba / BlockMap.LINE);
    }

    /** The line of a block that is filled, or null if it is not. */
    @Nullable FilledLine with(int premapLba) {
        FilledLine line = of(premapLba);
        return line == null || !line.hasFilled(premapLba) ? null : line;
    }

    /** Whether a commit has begun with a block, and its entry is not durable yet. */
    boolean isCommitting(int premapLba) {
        FilledLine line = of(premapLba);
        return line != null && line.isCommitting(premapLba);
    }

    void put(FilledLine line) {
        count.incrementAndGet();
        lines.put(line.number(), line);
    }

    void remove(FilledLine line) {
        lines.remove(line.number());
        count.decrementAndGet();
    }
}
