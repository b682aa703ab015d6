package pmemblk.pool.btt;

import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import pmemblk.pool.media.Medium;

/**
 * Checks a table that nobody uses: info blocks, flog and map, and that each postmap block is owned
 * once, by a map entry or by a lane.
 *
 * <p>Runs on a medium that keeps stores to itself, and so sees the table as recovery will leave it.
 */
public final class BttCheck {
    /** Enough to see the pattern; a table that lost its map would fill the screen. */
    private static final int MAX_REPORTED = 20;

    private final Medium medium;
    private final List<String> damage = new ArrayList<>();
    private int unreported;

    private BttCheck(Medium medium) {
        this.medium = medium;
    }

    /**
     * Says what is wrong, a sentence each; nothing if the table is consistent.
     *
     * @throws CorruptBttException if so much is wrong that the table cannot be opened
     */
    public static List<String> run(BttSite site) throws IOException {
        BttCheck check = new BttCheck(site.medium());
        InfoBlocks.Found found = InfoBlocks.find(site, false);
        found.damage().forEach(check::report);
        int laneCount =
                found.infos().stream()
                        .mapToInt(InfoBlock::nfree)
                        .reduce(InfoBlock.NFREE, Math::min);
        long base = site.base();
        for (int i = 0; i < found.infos().size(); i++) {
            InfoBlock info = found.infos().get(i);
            check.checkArena("arena " + i, base, info, laneCount);
            base += info.nextOffset();
        }
        if (check.unreported > 0) {
            check.damage.add("and " + check.unreported + " more of the kind");
        }
        return check.damage;
    }

    private void checkArena(String name, long base, InfoBlock info, int laneCount)
            throws IOException {
        BlockMap map = new BlockMap(medium, base + info.mapOffset(), info.externalNlba());
        long flogOffset = base + info.flogOffset();
        Flog.recover(medium, flogOffset, laneCount, map, info.internalNlba());
        BitSet owned = new BitSet(info.internalNlba());
        checkFlog(name, flogOffset, info, laneCount, owned);
        checkMap(name, info, map, owned);
        int postmapLba = owned.nextClearBit(0);
        while (postmapLba < info.internalNlba()) {
            report("%s: block %d has no owner".formatted(name, postmapLba));
            postmapLba = owned.nextClearBit(postmapLba + 1);
        }
    }

    private void checkFlog(
            String name, long flogOffset, InfoBlock info, int laneCount, BitSet owned)
            throws IOException {
        for (int lane = 0; lane < laneCount; lane++) {
            Flog.Slot slot = Flog.readPair(medium, flogOffset, lane).currentSlot();
            if (slot == null) {
                report("%s: flog of lane %d has no current slot".formatted(name, lane));
            } else {
                int postmapLba = MapEntry.postmapLba(slot.oldMap());
                own(name, "flog of lane", lane, postmapLba, info, owned);
            }
        }
    }

    private void checkMap(String name, InfoBlock info, BlockMap map, BitSet owned)
            throws IOException {
        for (int lba = 0; lba < info.externalNlba(); lba++) {
            int postmapLba = MapEntry.postmapLba(MapEntry.explicit(map.get(lba), lba));
            own(name, "map entry", lba, postmapLba, info, owned);
        }
    }

    private void own(
            String name, String owner, int index, int postmapLba, InfoBlock info, BitSet owned) {
        if (postmapLba >= info.internalNlba()) {
            report(
                    "%s: %s %d names block %d, there are %d"
                            .formatted(name, owner, index, postmapLba, info.internalNlba()));
        } else if (owned.get(postmapLba)) {
            report(
                    "%s: %s %d names block %d, which has another owner"
                            .formatted(name, owner, index, postmapLba));
        } else {
            owned.set(postmapLba);
        }
    }

    private void report(String problem) {
        if (damage.size() < MAX_REPORTED) {
            damage.add(problem);
        } else {
            unreported++;
        }
    }
}
