package pmemblk.pool.btt;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The first flaws found, in their order, and how many more there are. Not thread-safe. */
final class Flaws {
    /** Enough to see the pattern; a table that lost its map has millions. */
    static final int MAX_LISTED = 100;

    private final List<Flaw> listed = new ArrayList<>();
    private long unlistedCount;

    void add(Flaw flaw) {
        if (listed.size() < MAX_LISTED) {
            listed.add(flaw);
        } else {
            unlistedCount++;
        }
    }

    void addAll(Flaws later) {
        later.listed.forEach(this::add);
        unlistedCount += later.unlistedCount;
    }

    List<Flaw> listed() {
        return Collections.unmodifiableList(listed);
    }

    long unlistedCount() {
        return unlistedCount;
    }
}
