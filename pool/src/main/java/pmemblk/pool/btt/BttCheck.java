package pmemblk.pool.btt;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.media.Medium;

/**
 * Checks a table that nobody uses: info blocks, flog and map, and that each postmap block is owned
 * once, by a map entry or by a lane.
 *
 * <p>Runs on a medium that keeps stores to itself, and so sees the table as recovery will leave it.
 */
public final class BttCheck {
    private final BttSite site;
    private final InfoBlocks.Found found;
    private final Flaws flaws = new Flaws();
    private final List<String> notes = new ArrayList<>();
    private final List<Patch> unfinished = new ArrayList<>();

    private BttCheck(BttSite site, InfoBlocks.Found found) {
        this.site = site;
        this.found = found;
    }

    /**
     * What was found.
     *
     * @param flaws the first of them, in the order of info blocks and arenas
     * @param unlistedFlawCount how many more there are
     * @param notes what is no damage and worth knowing, a sentence each
     * @param unfinished the map entries that recovery will store
     * @param heldCount how many writes a killed process left behind
     */
    public record Result(
            List<Flaw> flaws,
            long unlistedFlawCount,
            List<String> notes,
            List<Patch> unfinished,
            int heldCount) {}

    /** Says what is wrong with a table, a sentence each; nothing if it is consistent. */
    static List<String> run(BttSite site) throws IOException {
        return of(site).finish(null, byteCount -> {}).flaws().stream().map(Flaw::text).toList();
    }

    /** Begins a check: reads the info blocks. */
    public static BttCheck of(BttSite site) throws IOException {
        return new BttCheck(site, InfoBlocks.find(site, false));
    }

    /** What a sealed info block of a table's first arena says of the pool. */
    public record Claim(UUID parentUuid, int blockSize) {}

    /** What the first arena says of its pool, or null if it has no sealed info block. */
    public static @Nullable Claim claim(Medium medium, long base) throws IOException {
        InfoBlock first = InfoBlocks.sealedFirst(medium, base);
        return first == null ? null : new Claim(first.parentUuid(), first.externalLbaSize());
    }

    /** Whether each arena has an info block that can be used. */
    public boolean hasInfoBlocks() {
        return found.usable();
    }

    /** The bytes of all maps, which is what a check takes its time for. */
    public long mapSize() {
        return found.infos().stream()
                .mapToLong(info -> (long) info.externalNlba() * MapEntry.SIZE)
                .sum();
    }

    /**
     * Checks all the rest; called once.
     *
     * @param held the writes that a killed process left behind; null if there are none
     * @param advanced told how many bytes of the maps have been read, by several threads
     */
    public Result finish(@Nullable HeldTable held, LongConsumer advanced) throws IOException {
        found.flaws().forEach(flaws::add);
        int laneCount =
                found.infos().stream()
                        .mapToInt(InfoBlock::nfree)
                        .reduce(InfoBlock.NFREE, Math::min);
        List<HeldTable.Entry> heldWrites = heldWrites(held, laneCount);
        List<HeldTable.Filled> filled =
                held == null || held.isInvalid() ? List.of() : held.filled(heldWrites);
        long base = site.base();
        long firstBlock = 0;
        for (int i = 0; i < found.infos().size(); i++) {
            InfoBlock info = found.infos().get(i);
            ArenaCheck arena =
                    new ArenaCheck(site.medium(), i, base, info, firstBlock, laneCount, flaws);
            arena.run(advanced);
            note(i, info, arena);
            for (HeldTable.Entry write : heldWrites) {
                if (write.arena() == i) {
                    arena.checkHeld(write);
                }
            }
            for (HeldTable.Filled block : filled) {
                if (block.arena() == i) {
                    arena.checkFilled(block);
                }
            }
            base += info.nextOffset();
            firstBlock += info.externalNlba();
        }
        if (!found.usable()) {
            notes.add("what lies behind arena " + found.infos().size() + " was not checked");
        }
        return new Result(
                flaws.listed(),
                flaws.unlistedCount(),
                notes,
                unfinished,
                heldWrites.size() + filled.size());
    }

    private List<HeldTable.Entry> heldWrites(@Nullable HeldTable held, int laneCount)
            throws IOException {
        if (held == null || held.isInvalid()) {
            if (held != null) {
                notes.add(
                        "a sync failed under the last server: what it replied to after the last"
                                + " flush that succeeded is lost");
            }
            return List.of();
        }
        return held.latest(laneCount);
    }

    private void note(int index, InfoBlock info, ArenaCheck arena) {
        if (info.error()) {
            notes.add(
                    "arena %d takes no changes, only reads: its error flag is set"
                            .formatted(index));
        }
        unfinished.addAll(arena.unfinished());
    }
}
