package pmemblk.pool.btt;

import static java.lang.foreign.MemoryLayout.PathElement.groupElement;
import static java.lang.foreign.MemoryLayout.sequenceLayout;
import static java.lang.foreign.MemoryLayout.structLayout;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The info block: 4096 bytes at both ends of an arena that say where its data, map and flog lie.
 *
 * <p>Offsets count bytes from the start of the arena, {@code nextOffset} too (0: the last one). All
 * 32-bit fields are unsigned on the medium; block counts stay below 2^30, and so do the sizes of
 * blocks, as 512 of them must fit an arena.
 */
record InfoBlock(
        UUID uuid,
        UUID parentUuid,
        boolean error,
        int externalLbaSize,
        int externalNlba,
        int internalLbaSize,
        int internalNlba,
        int nfree,
        long nextOffset,
        long dataOffset,
        long mapOffset,
        long flogOffset,
        long infoOffset) {

    static final long SIZE = 4096;
    static final int NFREE = 256;

    private static final byte[] SIGNATURE =
            "BTT_ARENA_INFO\0\0".getBytes(StandardCharsets.US_ASCII);
    private static final int FLAG_ERROR = 1;
    private static final short VERSION = 1;

    private static final ValueLayout.OfShort U16 = JAVA_SHORT.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 = JAVA_INT.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfLong U64 = JAVA_LONG.withOrder(LITTLE_ENDIAN);

    static final StructLayout LAYOUT =
            structLayout(
                    sequenceLayout(16, JAVA_BYTE).withName("sig"),
                    sequenceLayout(16, JAVA_BYTE).withName("uuid"),
                    sequenceLayout(16, JAVA_BYTE).withName("parent_uuid"),
                    U32.withName("flags"),
                    U16.withName("major"),
                    U16.withName("minor"),
                    U32.withName("external_lbasize"),
                    U32.withName("external_nlba"),
                    U32.withName("internal_lbasize"),
                    U32.withName("internal_nlba"),
                    U32.withName("nfree"),
                    U32.withName("infosize"),
                    U64.withName("nextoff"),
                    U64.withName("dataoff"),
                    U64.withName("mapoff"),
                    U64.withName("flogoff"),
                    U64.withName("infooff"),
                    sequenceLayout(3968, JAVA_BYTE).withName("unused"),
                    U64.withName("checksum"));

    private static final long UUID_OFFSET = offset("uuid");
    private static final long PARENT_UUID_OFFSET = offset("parent_uuid");
    private static final long FLAGS_OFFSET = offset("flags");
    private static final long MAJOR_OFFSET = offset("major");
    private static final long MINOR_OFFSET = offset("minor");
    private static final long EXTERNAL_LBASIZE_OFFSET = offset("external_lbasize");
    private static final long EXTERNAL_NLBA_OFFSET = offset("external_nlba");
    private static final long INTERNAL_LBASIZE_OFFSET = offset("internal_lbasize");
    private static final long INTERNAL_NLBA_OFFSET = offset("internal_nlba");
    private static final long NFREE_OFFSET = offset("nfree");
    private static final long INFOSIZE_OFFSET = offset("infosize");
    private static final long NEXTOFF_OFFSET = offset("nextoff");
    private static final long DATAOFF_OFFSET = offset("dataoff");
    private static final long MAPOFF_OFFSET = offset("mapoff");
    private static final long FLOGOFF_OFFSET = offset("flogoff");
    private static final long INFOOFF_OFFSET = offset("infooff");
    private static final long CHECKSUM_OFFSET = offset("checksum");

    static long offset(String field) {
        return LAYOUT.byteOffset(groupElement(field));
    }

    /**
     * What keeps a block from being an info block that is sealed and belongs to this parent, in a
     * few words, or null if nothing does; {@link #problem} says whether it can describe an arena.
     *
     * @param parent null takes any
     */
    static @Nullable String fault(MemorySegment block, @Nullable UUID parent) {
        if (block.asSlice(0, SIGNATURE.length).mismatch(signature()) >= 0) {
            return "no signature BTT_ARENA_INFO";
        }
        if (block.get(U16, MAJOR_OFFSET) == 0) {
            return "major version 0";
        }
        long stored = block.get(U64, CHECKSUM_OFFSET);
        if (stored != checksum(block)) {
            return "checksum %#x, and fields that sum to %#x".formatted(stored, checksum(block));
        }
        UUID found = Guid.read(block, PARENT_UUID_OFFSET);
        return parent == null || parent.equals(found) ? null : "one of pool " + found;
    }

    /** Reads a block without {@link #fault}. */
    static InfoBlock read(MemorySegment block) {
        return new InfoBlock(
                Guid.read(block, UUID_OFFSET),
                Guid.read(block, PARENT_UUID_OFFSET),
                (block.get(U32, FLAGS_OFFSET) & FLAG_ERROR) != 0,
                block.get(U32, EXTERNAL_LBASIZE_OFFSET),
                block.get(U32, EXTERNAL_NLBA_OFFSET),
                block.get(U32, INTERNAL_LBASIZE_OFFSET),
                block.get(U32, INTERNAL_NLBA_OFFSET),
                block.get(U32, NFREE_OFFSET),
                block.get(U64, NEXTOFF_OFFSET),
                block.get(U64, DATAOFF_OFFSET),
                block.get(U64, MAPOFF_OFFSET),
                block.get(U64, FLOGOFF_OFFSET),
                block.get(U64, INFOOFF_OFFSET));
    }

    void write(MemorySegment block) {
        block.fill((byte) 0);
        block.asSlice(0, SIGNATURE.length).copyFrom(signature());
        Guid.write(block, UUID_OFFSET, uuid);
        Guid.write(block, PARENT_UUID_OFFSET, parentUuid);
        block.set(U32, FLAGS_OFFSET, error ? FLAG_ERROR : 0);
        block.set(U16, MAJOR_OFFSET, VERSION);
        block.set(U16, MINOR_OFFSET, VERSION);
        block.set(U32, EXTERNAL_LBASIZE_OFFSET, externalLbaSize);
        block.set(U32, EXTERNAL_NLBA_OFFSET, externalNlba);
        block.set(U32, INTERNAL_LBASIZE_OFFSET, internalLbaSize);
        block.set(U32, INTERNAL_NLBA_OFFSET, internalNlba);
        block.set(U32, NFREE_OFFSET, nfree);
        block.set(U32, INFOSIZE_OFFSET, (int) SIZE);
        block.set(U64, NEXTOFF_OFFSET, nextOffset);
        block.set(U64, DATAOFF_OFFSET, dataOffset);
        block.set(U64, MAPOFF_OFFSET, mapOffset);
        block.set(U64, FLOGOFF_OFFSET, flogOffset);
        block.set(U64, INFOOFF_OFFSET, infoOffset);
        block.set(U64, CHECKSUM_OFFSET, checksum(block));
    }

    /**
     * Why these numbers cannot be used for an arena in {@code space} bytes, or null if they can.
     * Every offset that is ever computed from a sound block lies within the space.
     */
    @Nullable String problem(int blockSize, long space) {
        if (externalLbaSize != blockSize) {
            return "block size is " + externalLbaSize + ", the pool's is " + blockSize;
        }
        if (nextOffset != 0 && nextOffset != Geometry.MAX_ARENA_SIZE) {
            return "next arena at %#x, expected 0 or %#x"
                    .formatted(nextOffset, Geometry.MAX_ARENA_SIZE);
        }
        if (nextOffset > space) {
            return "next arena at %#x, beyond the pool".formatted(nextOffset);
        }
        if (nfree <= 0 || externalNlba <= 0 || internalNlba <= 0 || internalNlba > 1 << 30) {
            return "nfree %d, external nlba %d, internal nlba %d"
                    .formatted(nfree, externalNlba, internalNlba);
        }
        if (externalNlba > internalNlba || internalLbaSize < blockSize) {
            return "%d blocks of %d bytes cannot lie in %d of %d"
                    .formatted(externalNlba, blockSize, internalNlba, internalLbaSize);
        }
        long dataSize = (long) internalNlba * internalLbaSize;
        if (!fits(dataOffset, dataSize, space)
                || !fits(mapOffset, (long) externalNlba * MapEntry.SIZE, space)
                || !fits(flogOffset, (long) nfree * Flog.PAIR_STRIDE, space)
                || !fits(infoOffset, SIZE, space)) {
            return "data at %#x, map at %#x, flog at %#x, info at %#x do not fit %d bytes"
                    .formatted(dataOffset, mapOffset, flogOffset, infoOffset, space);
        }
        return null;
    }

    private static boolean fits(long offset, long length, long space) {
        // A multiple of 64 keeps map words and flog slots from straddling a sector.
        return offset >= 0 && offset % 64 == 0 && offset <= space - length;
    }

    private static long checksum(MemorySegment block) {
        return Fletcher64.sum(block, CHECKSUM_OFFSET, SIZE);
    }

    private static MemorySegment signature() {
        return MemorySegment.ofArray(SIGNATURE);
    }
}
