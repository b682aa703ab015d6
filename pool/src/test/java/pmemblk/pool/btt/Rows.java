package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/** Tells how the blocks of a table lie, by its map on the medium. */
public final class Rows {
    private static final long BASE = 8192;

    private Rows() {}

    /** How many of the first blocks of a table hold data and lie behind the one before. */
    static int pairs(BttSite site, int blockCount) throws IOException {
        InfoBlock info = InfoBlocks.read(site, false).getFirst();
        MemorySegment map = MemorySegment.ofArray(new int[blockCount]);
        site.medium().read(site.base() + info.mapOffset(), map);
        return pairs(map, blockCount);
    }

    /** The same of the table in a pool's file, which may be open. */
    public static int pairs(Path pool, int blockCount) throws IOException {
        try (FileChannel file = FileChannel.open(pool);
                Arena memory = Arena.ofConfined()) {
            MemorySegment bytes = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size(), memory);
            InfoBlock info = InfoBlock.read(bytes.asSlice(BASE, InfoBlock.SIZE));
            return pairs(bytes.asSlice(BASE + info.mapOffset()), blockCount);
        }
    }

    private static int pairs(MemorySegment map, int blockCount) {
        int count = 0;
        for (int lba = 1; lba < blockCount; lba++) {
            int entry = map.getAtIndex(ValueLayout.JAVA_INT, lba);
            boolean isBehind = entry == map.getAtIndex(ValueLayout.JAVA_INT, lba - 1) + 1;
            count += isBehind && MapEntry.isNormal(entry) ? 1 : 0;
        }
        return count;
    }
}
