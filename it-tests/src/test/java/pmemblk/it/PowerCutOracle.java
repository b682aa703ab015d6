package pmemblk.it;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.opentest4j.AssertionFailedError;

/**
 * What the blocks of a pool may hold after a power cut at some position of its disk's record. Each
 * half of a block is filled with the block's number and a stamp, so that torn, foreign and stale
 * contents all show.
 */
final class PowerCutOracle {
    static final int BLOCK_SIZE = 4096;
    static final long ERROR = -1;
    private static final int HALF = BLOCK_SIZE / 2;

    /** The versions of each block in their order, the first of them zeroes. */
    private final List<List<Version>> versions = new ArrayList<>();

    private final List<Flush> flushes = new ArrayList<>();

    /** A value, which cannot be on the disk before the position at which it was written. */
    private record Version(long value, int begun) {}

    /** From a position on, each block has at least so many versions behind it. */
    private record Flush(int returned, List<Integer> latest) {}

    PowerCutOracle(int blockCount) {
        for (int i = 0; i < blockCount; i++) {
            versions.add(new ArrayList<>(List.of(new Version(0, 0))));
        }
    }

    int blockCount() {
        return versions.size();
    }

    long latest(int block) {
        return versions.get(block).getLast().value;
    }

    void changing(int block, long value, int position) {
        versions.get(block).add(new Version(value, position));
    }

    /** All changes until now are durable. */
    void flushed(int position) {
        flushes.add(new Flush(position, versions.stream().map(all -> all.size() - 1).toList()));
    }

    /** Fails unless a block may have a value after a power cut at a position. */
    void requirePossible(int block, long value, int position) {
        int oldest = 0;
        for (Flush flush : flushes) {
            if (flush.returned <= position) {
                oldest = flush.latest.get(block);
            }
        }
        List<Version> all = versions.get(block);
        for (Version version : all.subList(oldest, all.size())) {
            if (version.value == value && version.begun <= position) {
                return;
            }
        }
        throw new AssertionFailedError(
                "block %d holds %#x at position %d, possible are %s"
                        .formatted(block, value, position, all.subList(oldest, all.size())));
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
