package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.pool.media.Medium;

/**
 * Finds the info blocks of a table, and tells a table that was never laid out from a damaged one.
 *
 * <p>libpmemblk takes any table whose first info block is not sound for one without layout, and so
 * loses all that it holds at the next write. Here it has no layout only if every place of an info
 * block holds zeroes alone; the backup stands in for a damaged first block; all else is refused.
 */
final class InfoBlocks {
    private static final Logger LOG = LoggerFactory.getLogger(InfoBlocks.class);

    private static final String PRIMARY = "primary info block";
    private static final String BACKUP = "backup info block";

    private final BttSite site;
    private final boolean restore;

    private final List<Flaw> flaws = new ArrayList<>();
    private boolean usable = true;

    private InfoBlocks(BttSite site, boolean restore) {
        this.site = site;
        this.restore = restore;
    }

    /**
     * The info blocks of a table and what is wrong with them.
     *
     * @param infos of the first arenas; of all of them if {@code usable}
     * @param usable whether each arena has one that can be used, be it the backup; if not, the last
     *     flaw says why
     */
    record Found(List<InfoBlock> infos, List<Flaw> flaws, boolean usable) {}

    /**
     * Reads the info block of each arena; none if the table was never laid out.
     *
     * @param restore whether a damaged first block is overwritten with its backup
     * @throws CorruptBttException if there is an arena without one that can be used
     */
    static List<InfoBlock> read(BttSite site, boolean restore) throws IOException {
        Found found = find(site, restore);
        if (!found.usable) {
            throw new CorruptBttException(found.flaws.getLast().text());
        }
        found.flaws.forEach(flaw -> LOG.warn("{}; the other copy is used", flaw.text()));
        return found.infos;
    }

    static Found find(BttSite site, boolean restore) throws IOException {
        InfoBlocks blocks = new InfoBlocks(site, restore);
        List<InfoBlock> infos;
        try (Arena memory = Arena.ofConfined()) {
            infos = blocks.walk(memory);
        }
        return new Found(infos, blocks.flaws, blocks.usable);
    }

    /** A sealed info block of the first arena, whoever its parent is, or null. */
    static @Nullable InfoBlock sealedFirst(Medium medium, long base) throws IOException {
        InfoBlocks blocks = new InfoBlocks(new BttSite(medium, base, new UUID(0, 0), 1), false);
        try (Arena memory = Arena.ofConfined()) {
            for (long offset : new long[] {0, blocks.backupOffset(0)}) {
                MemorySegment block = blocks.load(memory, offset);
                if (InfoBlock.fault(block, null) == null) {
                    return InfoBlock.read(block);
                }
            }
            return null;
        }
    }

    private List<InfoBlock> walk(Arena memory) throws IOException {
        List<InfoBlock> infos = new ArrayList<>();
        if (isUntouched(memory)) {
            return infos;
        }
        long offset = 0;
        while (site.rawSize() - offset >= Geometry.MIN_ARENA_SIZE) {
            InfoBlock info = choose(infos.size(), offset, memory);
            if (info == null) {
                usable = false;
                break;
            }
            infos.add(info);
            if (info.nextOffset() == 0) {
                break;
            }
            offset += info.nextOffset();
        }
        return infos;
    }

    /** The copy that can be used, or null if neither can. */
    private @Nullable InfoBlock choose(int arena, long offset, Arena memory) throws IOException {
        MemorySegment first = load(memory, offset);
        MemorySegment backup = load(memory, backupOffset(offset));
        String firstFault = InfoBlock.fault(first, site.parentUuid());
        String backupFault = InfoBlock.fault(backup, site.parentUuid());
        if (firstFault != null && backupFault != null) {
            report(arena, PRIMARY, offset, "one that is sound, or a sound backup", "both damaged");
            return null;
        }
        InfoBlock info = InfoBlock.read(firstFault == null ? first : backup);
        String problem = info.problem(site.blockSize(), site.rawSize() - offset);
        if (problem != null) {
            report(arena, "info block", offset, "numbers that fit the pool", problem);
        } else if (firstFault != null) {
            Patch patch = copy(backup, offset);
            flaws.add(flaw(arena, PRIMARY, offset, "one like its backup", firstFault, patch));
            if (restore) {
                patch.apply(site.medium());
            }
        } else {
            checkBackup(arena, offset, info, first, backup, backupFault);
        }
        return problem == null ? info : null;
    }

    private void checkBackup(
            int arena,
            long offset,
            InfoBlock info,
            MemorySegment first,
            MemorySegment backup,
            @Nullable String fault) {
        long place = backupOffset(offset);
        if (offset + info.infoOffset() != place) {
            long elsewhere = site.base() + offset + info.infoOffset();
            report(
                    arena,
                    BACKUP,
                    place,
                    "one at %#x, as the primary says".formatted(elsewhere),
                    "the end of the arena here: the file was cut or lengthened");
        } else if (fault != null) {
            Patch patch = copy(first, place);
            flaws.add(flaw(arena, BACKUP, place, "one like the primary", fault, patch));
        } else if (first.mismatch(backup) >= 0 && !info.equals(InfoBlock.read(backup))) {
            // Both are sealed: nothing says which of them is the later one.
            report(arena, BACKUP, place, "one like the primary", "another that is sound, too");
        }
    }

    /** Whether there are zeroes wherever a layout would put an info block. */
    private boolean isUntouched(Arena memory) throws IOException {
        for (long offset = 0;
                site.rawSize() - offset >= Geometry.MIN_ARENA_SIZE;
                offset += Geometry.MAX_ARENA_SIZE) {
            if (!isZero(load(memory, offset)) || !isZero(load(memory, backupOffset(offset)))) {
                return false;
            }
        }
        return true;
    }

    private static boolean isZero(MemorySegment block) {
        for (long i = 0; i < block.byteSize(); i++) {
            if (block.get(ValueLayout.JAVA_BYTE, i) != 0) {
                return false;
            }
        }
        return true;
    }

    /** The backup lies at the end of the arena, as {@code pmempool check} has it. */
    private long backupOffset(long arenaOffset) {
        long end = Math.min(arenaOffset + Geometry.MAX_ARENA_SIZE, site.rawSize());
        return end - InfoBlock.SIZE;
    }

    private MemorySegment load(Arena memory, long offset) throws IOException {
        MemorySegment block = memory.allocate(InfoBlock.SIZE, Long.BYTES);
        site.medium().read(site.base() + offset, block);
        return block;
    }

    private void report(int arena, String place, long offset, String expected, String found) {
        flaws.add(flaw(arena, place, offset, expected, found, null));
    }

    private Flaw flaw(
            int arena,
            String place,
            long offset,
            String expected,
            String found,
            @Nullable Patch patch) {
        return Flaw.ofArena(place, arena, site.base() + offset, expected, found, patch);
    }

    private Patch copy(MemorySegment block, long offset) {
        MemorySegment copy = MemorySegment.ofArray(new long[(int) InfoBlock.SIZE / Long.BYTES]);
        return new Patch(site.base() + offset, copy.copyFrom(block));
    }
}
