package pmemblk.pool;

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
import pmemblk.pool.btt.Fletcher64;
import pmemblk.pool.btt.Guid;

/**
 * The pool header: the first 4096 bytes of every file of a pool that has one.
 *
 * <p>{@link #MADE} headers carry no shutdown state, which serves devices whose unsafe shutdown
 * count one can ask for; the state of others is respected and left as it is.
 *
 * @param compat feature bits that need not be known to use the pool
 * @param incompat feature bits that must be known
 * @param roCompat feature bits that must be known to change the pool
 * @param uuid of this file; the four links hold those of its neighbours
 */
record PoolHeader(
        int compat,
        int incompat,
        int roCompat,
        UUID poolsetUuid,
        UUID uuid,
        UUID previousPart,
        UUID nextPart,
        UUID previousReplica,
        UUID nextReplica) {

    static final int SIZE = 4096;

    /** Only the first part of a pool set has a header. */
    static final int SINGLEHDR = 1;

    /** A file beside the pool may list the device's bad blocks. */
    static final int CHECK_BAD_BLOCKS = 1;

    private static final int CKSUM_2K = 2;
    private static final int SDS = 4;
    private static final int MADE = CKSUM_2K;

    private static final byte[] SIGNATURE = "PMEMBLK\0".getBytes(StandardCharsets.US_ASCII);
    private static final int MAJOR = 1;

    /** The alignments of C types on x86-64, four bits each, of which PMDK wants every one equal. */
    private static final long ALIGNMENTS = 0x0000_07F7_3777_7310L;

    private static final byte CLASS_64 = 2;
    private static final byte LITTLE = 1;
    private static final short X86_64 = 62;
    private static final short AARCH64 = 183;

    private static final ValueLayout.OfShort U16 = JAVA_SHORT.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 = JAVA_INT.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfLong U64 = JAVA_LONG.withOrder(LITTLE_ENDIAN);

    static final StructLayout LAYOUT =
            structLayout(
                    sequenceLayout(8, JAVA_BYTE).withName("signature"),
                    U32.withName("major"),
                    U32.withName("compat"),
                    U32.withName("incompat"),
                    U32.withName("ro_compat"),
                    sequenceLayout(16, JAVA_BYTE).withName("poolset_uuid"),
                    sequenceLayout(16, JAVA_BYTE).withName("uuid"),
                    sequenceLayout(16, JAVA_BYTE).withName("prev_part_uuid"),
                    sequenceLayout(16, JAVA_BYTE).withName("next_part_uuid"),
                    sequenceLayout(16, JAVA_BYTE).withName("prev_repl_uuid"),
                    sequenceLayout(16, JAVA_BYTE).withName("next_repl_uuid"),
                    U64.withName("crtime"),
                    U64.withName("alignment_desc"),
                    JAVA_BYTE.withName("machine_class"),
                    JAVA_BYTE.withName("data"),
                    sequenceLayout(4, JAVA_BYTE).withName("reserved"),
                    U16.withName("machine"),
                    sequenceLayout(1904, JAVA_BYTE).withName("unused"),
                    sequenceLayout(1976, JAVA_BYTE).withName("unused2"),
                    sequenceLayout(64, JAVA_BYTE).withName("sds"),
                    U64.withName("checksum"));

    private static final long CHECKSUM_OFFSET = offset("checksum");

    /** Where the sum over a header with {@link #CKSUM_2K} ends. */
    private static final long SHORT_SUM_END = offset("unused2");

    static long offset(String field) {
        return LAYOUT.byteOffset(groupElement(field));
    }

    /** The header of a new pool that is one file. */
    static PoolHeader ofSingleFile(UUID poolsetUuid, UUID uuid) {
        return new PoolHeader(0, MADE, 0, poolsetUuid, uuid, uuid, uuid, uuid, uuid);
    }

    static PoolHeader read(MemorySegment block) {
        return new PoolHeader(
                block.get(U32, offset("compat")),
                block.get(U32, offset("incompat")),
                block.get(U32, offset("ro_compat")),
                Guid.read(block, offset("poolset_uuid")),
                Guid.read(block, offset("uuid")),
                Guid.read(block, offset("prev_part_uuid")),
                Guid.read(block, offset("next_part_uuid")),
                Guid.read(block, offset("prev_repl_uuid")),
                Guid.read(block, offset("next_repl_uuid")));
    }

    /**
     * Fills a block with this header.
     *
     * @param seconds when the pool was made, since 1970
     */
    void write(MemorySegment block, long seconds) {
        block.fill((byte) 0);
        block.asSlice(0, SIGNATURE.length).copyFrom(MemorySegment.ofArray(SIGNATURE));
        block.set(U32, offset("major"), MAJOR);
        block.set(U32, offset("compat"), compat);
        block.set(U32, offset("incompat"), incompat);
        block.set(U32, offset("ro_compat"), roCompat);
        Guid.write(block, offset("poolset_uuid"), poolsetUuid);
        Guid.write(block, offset("uuid"), uuid);
        Guid.write(block, offset("prev_part_uuid"), previousPart);
        Guid.write(block, offset("next_part_uuid"), nextPart);
        Guid.write(block, offset("prev_repl_uuid"), previousReplica);
        Guid.write(block, offset("next_repl_uuid"), nextReplica);
        block.set(U64, offset("crtime"), seconds);
        block.set(U64, offset("alignment_desc"), ALIGNMENTS);
        block.set(JAVA_BYTE, offset("machine_class"), CLASS_64);
        block.set(JAVA_BYTE, offset("data"), LITTLE);
        block.set(U16, offset("machine"), machine());
        block.set(U64, CHECKSUM_OFFSET, checksum(block));
    }

    /** Whether the pool may only be read, for want of knowing what its features mean. */
    boolean isReadOnly() {
        return roCompat != 0;
    }

    /**
     * Why a header does not belong to a pool that can be opened here, or null if it does. Links are
     * checked by {@link PoolFiles}.
     */
    static @Nullable String problem(MemorySegment block) {
        if (block.asSlice(0, SIGNATURE.length).mismatch(MemorySegment.ofArray(SIGNATURE)) >= 0) {
            return block.mismatch(MemorySegment.ofArray(new byte[SIZE])) < 0
                    ? "its header is all zeroes: no pool was ever made here, or its making was"
                            + " interrupted; remove the file and create the pool anew"
                    : "it does not begin with the signature PMEMBLK: it is not a pmemblk pool";
        }
        int major = block.get(U32, offset("major"));
        if (major != MAJOR) {
            return "its format has major version %d, expected %d".formatted(major, MAJOR);
        }
        int unknown = block.get(U32, offset("incompat")) & ~(SINGLEHDR | CKSUM_2K | SDS);
        if (unknown != 0) {
            return "it uses features %#x that are not known here; open it with the version of PMDK"
                            .formatted(unknown)
                    + " that made it";
        }
        long stored = block.get(U64, CHECKSUM_OFFSET);
        if (stored != checksum(block)) {
            return "its header has checksum %#x, and its fields sum to %#x; try pmempool check"
                            .formatted(stored, checksum(block))
                    + " --repair on a copy";
        }
        return archProblem(block);
    }

    private static @Nullable String archProblem(MemorySegment block) {
        boolean ours =
                block.get(U64, offset("alignment_desc")) == ALIGNMENTS
                        && block.get(JAVA_BYTE, offset("machine_class")) == CLASS_64
                        && block.get(JAVA_BYTE, offset("data")) == LITTLE
                        && block.asSlice(offset("reserved"), 4).mismatch(zeroes(4)) < 0
                        && block.get(U16, offset("machine")) == machine();
        return ours
                ? null
                : "it was made on machine type %d, this is %d; open it on such a machine"
                        .formatted(block.get(U16, offset("machine")), machine());
    }

    /**
     * Why the shutdown state forbids opening, or null. Only devices that count unsafe shutdowns
     * have one other than (0, 0), and if it is dirty they may have lost stores.
     */
    static @Nullable String shutdownProblem(MemorySegment block) {
        if ((block.get(U32, offset("incompat")) & SDS) == 0) {
            return null;
        }
        MemorySegment state = block.asSlice(offset("sds"), 64);
        boolean sealed = state.get(U64, 56) == Fletcher64.sum(state, 56, 64);
        boolean sameDevice = state.get(U64, 0) == 0 && state.get(U64, 8) == 0;
        boolean dirty = state.get(JAVA_BYTE, 16) != 0;
        return sealed && dirty && !sameDevice
                ? "its shutdown state is dirty: it was open on a device that lost power, or was"
                        + " moved from one while open; check it with pmempool on that machine"
                : null;
    }

    private static long checksum(MemorySegment block) {
        boolean shortSum = (block.get(U32, offset("incompat")) & CKSUM_2K) != 0;
        return Fletcher64.sum(block, CHECKSUM_OFFSET, shortSum ? SHORT_SUM_END : SIZE);
    }

    private static short machine() {
        return System.getProperty("os.arch").equals("aarch64") ? AARCH64 : X86_64;
    }

    private static MemorySegment zeroes(int count) {
        return MemorySegment.ofArray(new byte[count]);
    }
}
