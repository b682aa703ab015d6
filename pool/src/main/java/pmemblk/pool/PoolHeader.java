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
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.btt.Fletcher64;
import pmemblk.pool.btt.Guid;
import pmemblk.pool.btt.Patch;

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

    private static final int SDS_SIZE = 64;
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

    /** The fields that hold the uuid of the file in the header of a single one. */
    private static final String[] UUID_COPIES = {
        "uuid", "prev_part_uuid", "next_part_uuid", "prev_repl_uuid", "next_repl_uuid"
    };

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
        writeArch(block);
        block.set(U64, CHECKSUM_OFFSET, checksum(block));
    }

    private static void writeArch(MemorySegment block) {
        block.set(U64, offset("alignment_desc"), ALIGNMENTS);
        block.set(JAVA_BYTE, offset("machine_class"), CLASS_64);
        block.set(JAVA_BYTE, offset("data"), LITTLE);
        block.asSlice(offset("reserved"), 4).fill((byte) 0);
        block.set(U16, offset("machine"), machine());
    }

    /** Whether the pool may only be read, for want of knowing what its features mean. */
    boolean isReadOnly() {
        return roCompat != 0;
    }

    /**
     * Why a header cannot be used.
     *
     * @param field of {@link #LAYOUT}, which shows it
     * @param text all that in words, with what to do
     */
    record Problem(String field, String expected, String found, String text) {}

    /**
     * Why a header does not belong to a pool that can be opened here, or null if it does. Links are
     * checked by {@link PoolParts}.
     */
    static @Nullable Problem problem(MemorySegment block) {
        if (block.asSlice(0, SIGNATURE.length).mismatch(MemorySegment.ofArray(SIGNATURE)) >= 0) {
            return signatureProblem(block);
        }
        int major = block.get(U32, offset("major"));
        if (major != MAJOR) {
            return new Problem(
                    "major",
                    Integer.toString(MAJOR),
                    Integer.toString(major),
                    "its format has major version %d, expected %d".formatted(major, MAJOR));
        }
        int unknown = block.get(U32, offset("incompat")) & ~(SINGLEHDR | CKSUM_2K | SDS);
        if (unknown != 0) {
            return new Problem(
                    "incompat",
                    "known features",
                    "%#x".formatted(unknown),
                    "it uses features %#x that are not known here; open it with the version of PMDK"
                                    .formatted(unknown)
                            + " that made it");
        }
        long stored = block.get(U64, CHECKSUM_OFFSET);
        long sum = checksum(block);
        if (stored != sum) {
            return new Problem(
                    "checksum",
                    "%#x".formatted(sum),
                    "%#x".formatted(stored),
                    "its header has checksum %#x, and its fields sum to %#x; see what check --repair"
                                    .formatted(stored, sum)
                            + " can do, or put a copy in its place");
        }
        return archProblem(block);
    }

    private static Problem signatureProblem(MemorySegment block) {
        boolean zeroes = block.mismatch(MemorySegment.ofArray(new byte[SIZE])) < 0;
        return new Problem(
                "signature",
                "PMEMBLK",
                zeroes ? "zeroes" : "other bytes",
                zeroes
                        ? "its header is all zeroes: no pool was ever made here, or its making was"
                                + " interrupted; remove the file and create the pool anew"
                        : "it does not begin with the signature PMEMBLK: it is not a pmemblk pool");
    }

    private static @Nullable Problem archProblem(MemorySegment block) {
        boolean ours =
                block.get(U64, offset("alignment_desc")) == ALIGNMENTS
                        && block.get(JAVA_BYTE, offset("machine_class")) == CLASS_64
                        && block.get(JAVA_BYTE, offset("data")) == LITTLE
                        && block.asSlice(offset("reserved"), 4).mismatch(zeroes(4)) < 0
                        && block.get(U16, offset("machine")) == machine();
        if (ours) {
            return null;
        }
        int found = Short.toUnsignedInt(block.get(U16, offset("machine")));
        return new Problem(
                "machine",
                Integer.toString(machine()),
                Integer.toString(found),
                "it was made on machine type %d, this is %d; open it on such a machine"
                        .formatted(found, machine()));
    }

    /**
     * Why the shutdown state forbids opening, or null. Only devices that count unsafe shutdowns
     * have one other than (0, 0), and if it is dirty they may have lost stores.
     */
    static @Nullable Problem shutdownProblem(MemorySegment block) {
        if ((block.get(U32, offset("incompat")) & SDS) == 0) {
            return null;
        }
        MemorySegment state = block.asSlice(offset("sds"), SDS_SIZE);
        boolean sealed = state.get(U64, 56) == Fletcher64.sum(state, 56, SDS_SIZE);
        boolean sameDevice = state.get(U64, 0) == 0 && state.get(U64, 8) == 0;
        boolean dirty = state.get(JAVA_BYTE, 16) != 0;
        return sealed && dirty && !sameDevice
                ? new Problem(
                        "sds",
                        "a clean shutdown state",
                        "a dirty one of another device",
                        "its shutdown state is dirty: it was open on a device that lost power, or"
                                + " was moved from one while open; check it with pmempool on that"
                                + " machine")
                : null;
    }

    /**
     * Whether there is a shutdown state though no feature says so: nobody reads it, and pmempool
     * check wants zeroes there.
     */
    static boolean hasStrayShutdownState(MemorySegment block) {
        MemorySegment state = block.asSlice(offset("sds"), SDS_SIZE);
        return (block.get(U32, offset("incompat")) & SDS) == 0
                && state.mismatch(zeroes(SDS_SIZE)) >= 0;
    }

    /** What removes that state. */
    static Patch noShutdownState() {
        return new Patch(offset("sds"), zeroes(SDS_SIZE));
    }

    /**
     * The header of a single file as it was before some bytes of it changed, or null if that is not
     * certain. All that the format fixes, or that is there more than once, is put right; certain
     * the result is only if it sums to the checksum that the block carries.
     *
     * @param poolsetUuid as the info blocks have it; null if there are none
     */
    static @Nullable MemorySegment restored(MemorySegment block, @Nullable UUID poolsetUuid) {
        MemorySegment restored = MemorySegment.ofArray(new long[SIZE / Long.BYTES]).copyFrom(block);
        restored.asSlice(0, SIGNATURE.length).copyFrom(MemorySegment.ofArray(SIGNATURE));
        restored.set(U32, offset("major"), MAJOR);
        if (poolsetUuid != null) {
            Guid.write(restored, offset("poolset_uuid"), poolsetUuid);
        }
        UUID uuid = mostFrequentUuid(block);
        for (String copy : UUID_COPIES) {
            Guid.write(restored, offset(copy), uuid);
        }
        writeArch(restored);
        restored.asSlice(offset("unused"), SHORT_SUM_END - offset("unused")).fill((byte) 0);
        boolean certain = problem(restored) == null && shutdownProblem(restored) == null;
        return certain ? restored : null;
    }

    private static UUID mostFrequentUuid(MemorySegment block) {
        List<UUID> copies =
                Stream.of(UUID_COPIES).map(field -> Guid.read(block, offset(field))).toList();
        return Collections.max(
                copies, Comparator.comparingInt(uuid -> Collections.frequency(copies, uuid)));
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
