package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the info blocks of a table, and tells a table that was never laid out from a damaged one.
 *
 * <p>libpmemblk takes any table whose first info block is not sound for one without layout, and so
 * loses all that it holds at the next write. Here it has no layout only if every place of an info
 * block holds zeroes alone; the backup stands in for a damaged first block; all else is refused.
 */
final class InfoBlocks {
    private static final Logger LOG = LoggerFactory.getLogger(InfoBlocks.class);

    private final BttSite site;
    private final boolean restore;

    /** Damage that the backups make up for, in words. */
    private final List<String> mended = new ArrayList<>();

    private InfoBlocks(BttSite site, boolean restore) {
        this.site = site;
        this.restore = restore;
    }

    /** The info blocks of a table and what was found wrong with their copies. */
    record Found(List<InfoBlock> infos, List<String> damage) {}

    /**
     * Reads the info block of each arena; none if the table was never laid out.
     *
     * @param restore whether a damaged first block is overwritten with its backup
     */
    static List<InfoBlock> read(BttSite site, boolean restore) throws IOException {
        Found found = find(site, restore);
        found.damage.forEach(damage -> LOG.warn("{}", damage));
        return found.infos;
    }

    static Found find(BttSite site, boolean restore) throws IOException {
        InfoBlocks blocks = new InfoBlocks(site, restore);
        List<InfoBlock> infos;
        try (Arena memory = Arena.ofConfined()) {
            infos = blocks.walk(memory);
        }
        return new Found(infos, blocks.mended);
    }

    private List<InfoBlock> walk(Arena memory) throws IOException {
        List<InfoBlock> infos = new ArrayList<>();
        long offset = 0;
        while (site.rawSize() - offset >= Geometry.MIN_ARENA_SIZE) {
            long space = site.rawSize() - offset;
            MemorySegment first = load(memory, offset);
            MemorySegment backup = load(memory, backupOffset(offset));
            InfoBlock info = choose(infos.size(), offset, first, backup);
            if (info == null) {
                if (infos.isEmpty() && isUntouched(memory)) {
                    return List.of();
                }
                throw corrupt(infos.size(), offset, "both info blocks are damaged");
            }
            String problem = info.problem(site.blockSize(), space);
            if (problem != null) {
                throw corrupt(infos.size(), offset, problem);
            }
            infos.add(info);
            if (info.nextOffset() == 0) {
                break;
            }
            offset += info.nextOffset();
        }
        return infos;
    }

    private @Nullable InfoBlock choose(
            int arena, long offset, MemorySegment first, MemorySegment backup) throws IOException {
        InfoBlock info = InfoBlock.read(first, site.parentUuid());
        InfoBlock fromBackup = InfoBlock.read(backup, site.parentUuid());
        if (info != null) {
            if (!info.equals(fromBackup)) {
                mended.add(describe(arena, offset, "the backup info block is damaged"));
            }
            return info;
        }
        if (fromBackup != null) {
            String outcome = restore ? "restored from its backup" : "its backup is used";
            mended.add(describe(arena, offset, "the first info block is damaged; " + outcome));
            if (restore) {
                site.medium().write(site.base() + offset, backup);
                site.medium().persist(site.base() + offset, InfoBlock.SIZE);
            }
        }
        return fromBackup;
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

    private CorruptBttException corrupt(int arena, long offset, String problem) {
        return new CorruptBttException(describe(arena, offset, problem));
    }

    private String describe(int arena, long offset, String problem) {
        return "arena %d at offset %#x: %s".formatted(arena, site.base() + offset, problem);
    }
}
