package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.UUID;
import pmemblk.pool.media.Medium;

/**
 * Writes the layout of a new table: maps, flogs and info blocks.
 *
 * <p>From the last arena to the first, and in each the backup info block before the first one, so
 * that the very last thing to become durable is what makes the table one: after a crash on the way
 * it has no layout, and is laid out again.
 */
final class Layout {
    private static final long ZEROES = 1L << 20;

    private Layout() {}

    /**
     * Lays out a table.
     *
     * @param zeroed whether the bytes of the maps are known to be zero
     * @return the info blocks written
     */
    static List<InfoBlock> write(BttSite site, boolean zeroed) throws IOException {
        String problem = Geometry.problem(site.rawSize(), site.blockSize());
        if (problem != null) {
            throw new CorruptBttException(problem);
        }
        List<InfoBlock> infos =
                Geometry.arenas(
                        site.rawSize(), site.blockSize(), UUID.randomUUID(), site.parentUuid());
        for (int i = infos.size() - 1; i >= 0; i--) {
            long base = site.base() + i * Geometry.MAX_ARENA_SIZE;
            writeArena(site.medium(), base, infos.get(i), zeroed);
        }
        return infos;
    }

    private static void writeArena(Medium medium, long base, InfoBlock info, boolean zeroed)
            throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            if (!zeroed) {
                zero(medium, base + info.mapOffset(), info.flogOffset() - info.mapOffset());
            }
            long flogSize = info.infoOffset() - info.flogOffset();
            MemorySegment flog = memory.allocate(flogSize, Long.BYTES);
            Flog.format(flog, info);
            medium.write(base + info.flogOffset(), flog);
            medium.persist(base + info.flogOffset(), flogSize);
            MemorySegment block = memory.allocate(InfoBlock.SIZE, Long.BYTES);
            info.write(block);
            for (long copy : new long[] {info.infoOffset(), 0}) {
                medium.write(base + copy, block);
                medium.persist(base + copy, InfoBlock.SIZE);
            }
        }
    }

    private static void zero(Medium medium, long offset, long length) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment zeroes = memory.allocate(Math.min(length, ZEROES));
            for (long done = 0; done < length; ) {
                long count = Math.min(zeroes.byteSize(), length - done);
                medium.write(offset + done, zeroes.asSlice(0, count));
                done += count;
            }
        }
        medium.persist(offset, length);
    }
}
