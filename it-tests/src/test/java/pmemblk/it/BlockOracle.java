package pmemblk.it;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.opentest4j.AssertionFailedError;

/**
 * Knows what each block may hold: every whole content that was sent for it, less those that a later
 * one has certainly replaced. A content is certainly replaced by another that was sent after the
 * first was replied to, and was itself replied to. Thread-safe.
 */
final class BlockOracle {
    private static final long NEVER = Long.MAX_VALUE;

    private final int blockSize;
    private final List<List<Version>> candidates = new ArrayList<>();
    private long tick;

    /** One content that was sent for a block. */
    final class Version {
        private final int block;
        private final byte[] content;
        private final long sent = ++tick;
        private long replied = NEVER;

        private Version(int block, byte[] content) {
            this.block = block;
            this.content = content;
        }

        int block() {
            return block;
        }
    }

    /** All blocks are zero. */
    BlockOracle(int blockCount, int blockSize) {
        this.blockSize = blockSize;
        for (int block = 0; block < blockCount; block++) {
            Version zeroes = new Version(block, new byte[blockSize]);
            zeroes.replied = ++tick;
            candidates.add(new ArrayList<>(List.of(zeroes)));
        }
    }

    int blockCount() {
        return candidates.size();
    }

    int blockSize() {
        return blockSize;
    }

    /** Takes note that a content is about to be sent. */
    synchronized Version sending(int block, byte[] content) {
        Version version = new Version(block, content);
        candidates.get(block).add(version);
        return version;
    }

    /** Takes note that the server said it was done. */
    synchronized void replied(Version version) {
        version.replied = ++tick;
        candidates.get(version.block).removeIf(other -> other.replied < version.sent);
    }

    /** What a block holds, if nobody else is changing it. */
    synchronized byte[] content(int block) {
        List<Version> versions = candidates.get(block);
        if (versions.size() != 1) {
            throw new IllegalStateException("block " + block + " is being changed");
        }
        return versions.get(0).content;
    }

    /** Fails unless the block may hold this; from now on, this alone is what it holds. */
    synchronized void settle(int block, byte[] found) {
        List<Version> versions = candidates.get(block);
        for (Version version : versions) {
            if (Arrays.equals(version.content, found)) {
                version.replied = ++tick;
                versions.clear();
                versions.add(version);
                return;
            }
        }
        throw new AssertionFailedError(
                "block %d is torn, foreign or lost a replied write: it begins with %s, ends with %s,"
                                .formatted(block, head(found), tail(found))
                        + " it may hold "
                        + versions.stream()
                                .map(v -> head(v.content) + ".." + tail(v.content))
                                .toList());
    }

    private static String head(byte[] content) {
        return HexFormat.of().formatHex(content, 0, 16);
    }

    private static String tail(byte[] content) {
        return HexFormat.of().formatHex(content, content.length - 16, content.length);
    }
}
