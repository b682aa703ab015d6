package pmemblk.it;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.opentest4j.AssertionFailedError;

/**
 * What the blocks of a pool may hold after a power cut at some position of its disk's record. Each
 * half of a block is filled with the block's number and a stamp, so that torn, foreign and stale
 * contents all show. Thread-safe.
 *
 * <p>A change is certainly replaced by another that was sent after the first had returned and is
 * durable, itself or by what came later.
 */
final class PowerCutOracle {
    static final int BLOCK_SIZE = 4096;
    static final long ERROR = -1;
    private static final int HALF = BLOCK_SIZE / 2;

    private static final int NEVER = Integer.MAX_VALUE;

    private final List<List<Version>> versions = new ArrayList<>();
    private int tick;

    /** A value that a change gives to a block. Guarded by the oracle's monitor. */
    static final class Version {
        private final long value;

        /** A position of the disk at which it cannot be there yet. */
        private final int begun;

        private final int sent;
        private int returned = NEVER;

        /** From this position of the disk on, it or what came later is there. */
        private int durable = NEVER;

        private Version(long value, int begun, int sent) {
            this.value = value;
            this.begun = begun;
            this.sent = sent;
        }

        @Override
        public String toString() {
            return "%#x (%d to %d, from %d on, durable from %d on)"
                    .formatted(value, sent, returned, begun, durable);
        }
    }

    /** All blocks are zeroes, durably. */
    PowerCutOracle(int blockCount) {
        for (int block = 0; block < blockCount; block++) {
            Version zeroes = new Version(0, 0, ++tick);
            versions.add(new ArrayList<>(List.of(zeroes)));
            returned(List.of(zeroes));
            durable(List.of(zeroes), 0);
        }
    }

    /** What a block holds that nobody is changing, and that one caller at a time has changed. */
    synchronized long latest(int block) {
        return versions.get(block).getLast().value;
    }

    /** Takes note that a block is about to be changed, at a position of the disk. */
    synchronized Version changing(int block, long value, int position) {
        Version version = new Version(value, position, ++tick);
        versions.get(block).add(version);
        return version;
    }

    /** Takes note that the call has returned that made these changes. */
    synchronized void returned(List<Version> changes) {
        tick++;
        changes.forEach(version -> version.returned = tick);
    }

    /** The changes that have returned and are not known to be durable: what a flush is for. */
    synchronized List<Version> notDurable() {
        return versions.stream()
                .flatMap(List::stream)
                .filter(version -> version.returned != NEVER && version.durable == NEVER)
                .toList();
    }

    /** Takes note that changes were durable at a position of the disk. */
    synchronized void durable(List<Version> changes, int position) {
        changes.forEach(version -> version.durable = Math.min(version.durable, position));
    }

    /** Fails unless a block may have a value after a power cut at a position. */
    synchronized void requirePossible(int block, long value, int position) {
        List<Version> all = versions.get(block);
        int replaced =
                all.stream()
                        .filter(version -> version.durable <= position)
                        .mapToInt(version -> version.sent)
                        .max()
                        .orElseThrow();
        List<Version> possible =
                all.stream()
                        .filter(version -> version.begun <= position)
                        .filter(version -> version.returned >= replaced)
                        .toList();
        if (possible.stream().noneMatch(version -> version.value == value)) {
            throw new AssertionFailedError(
                    "block %d holds %#x at position %d, possible are %s"
                            .formatted(block, value, position, possible));
        }
    }

    /** The value that has this stamp in both halves. */
    static long value(int stamp) {
        return ((long) stamp << 32) | stamp;
    }

    /** The value with its second half replaced. */
    static long edited(long value, int stamp) {
        return (value & (0xffff_ffffL << 32)) | stamp;
    }

    /** A half of a block with a stamp. */
    static ByteBuffer half(int block, int stamp) {
        ByteBuffer half = ByteBuffer.allocateDirect(HALF);
        while (half.hasRemaining()) {
            half.putInt(stamp == 0 ? 0 : block + 1).putInt(stamp);
        }
        return half.flip();
    }

    static ByteBuffer whole(int block, int stamp) {
        return ByteBuffer.allocateDirect(BLOCK_SIZE)
                .put(half(block, stamp))
                .put(half(block, stamp))
                .flip();
    }

    /** The value that a block's bytes are. */
    static long read(int block, byte[] bytes) {
        ByteBuffer content = ByteBuffer.wrap(bytes);
        int first = content.getInt(Integer.BYTES);
        int second = content.getInt(HALF + Integer.BYTES);
        ByteBuffer expected =
                ByteBuffer.allocate(BLOCK_SIZE)
                        .put(half(block, first))
                        .put(half(block, second))
                        .flip();
        if (!expected.equals(content)) {
            throw new AssertionFailedError(
                    "block %d is torn, or another's: stamps %d and %d"
                            .formatted(block, first, second));
        }
        return ((long) first << 32) | second;
    }
}
