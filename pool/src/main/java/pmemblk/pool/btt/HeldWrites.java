package pmemblk.pool.btt;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * The held writes of one arena by premap block, the latest of each.
 *
 * <p>Chains of links that never change: looking up takes no lock, changing replaces the head of a
 * chain. Two writes of the same block are put in turn, under the lock of its map entry.
 */
final class HeldWrites {
    private static final int CHAIN_COUNT = 1024;

    private final AtomicReferenceArray<@Nullable Link> chains =
            new AtomicReferenceArray<>(CHAIN_COUNT);

    /** No less than the number of writes. */
    private final AtomicInteger count = new AtomicInteger();

    private record Link(HeldWrite write, @Nullable Link next) {}

    boolean isEmpty() {
        return count.get() == 0;
    }

    @Nullable HeldWrite get(int premapLba) {
        Link link = chains.getAcquire(premapLba % CHAIN_COUNT);
        while (link != null && link.write.premapLba() != premapLba) {
            link = link.next;
        }
        return link == null ? null : link.write;
    }

    /** Adds a write, in the place of an earlier one of the same block. */
    void put(HeldWrite write) {
        int premapLba = write.premapLba();
        if (get(premapLba) == null) {
            count.incrementAndGet();
        }
        chains.updateAndGet(
                premapLba % CHAIN_COUNT, chain -> new Link(write, without(chain, premapLba)));
    }

    /** Removes a write, unless a later one of the same block has taken its place. */
    void remove(HeldWrite write) {
        int premapLba = write.premapLba();
        if (get(premapLba) == write) {
            chains.updateAndGet(premapLba % CHAIN_COUNT, chain -> without(chain, premapLba));
            count.decrementAndGet();
        }
    }

    private static @Nullable Link without(@Nullable Link chain, int premapLba) {
        if (chain == null) {
            return null;
        }
        return chain.write.premapLba() == premapLba
                ? chain.next
                : new Link(chain.write, without(chain.next, premapLba));
    }
}
