package pmemblk.it;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.opentest4j.AssertionFailedError;

/**
 * Knows what each cell of a range may hold, a block or a part of one: every whole content that was
 * sent for it, less those that a later one has certainly replaced. A content is certainly replaced
 * by another that was sent after the first was replied to, and was itself replied to. Thread-safe.
 */
final class BlockOracle {
    private static final long NEVER = Long.MAX_VALUE;

    private final long firstOffset;
    private final int cellSize;
    private final List<List<Version>> candidates = new ArrayList<>();
    private long tick;

    /** One content that was sent for a cell. */
    final class Version {
        private final int cell;
        private final byte[] content;
        private final long sent = ++tick;
        private long replied = NEVER;

        private Version(int cell, byte[] content) {
            this.cell = cell;
            this.content = content;
        }

        /** Where its cell lies on the export, in bytes. */
        long offset() {
            return BlockOracle.this.offset(cell);
        }

        /** Takes note that the server said it was done. */
        void replied() {
            synchronized (BlockOracle.this) {
                replied = ++tick;
                candidates.get(cell).removeIf(other -> other.replied < sent);
            }
        }
    }

    /**
     * All cells are zero.
     *
     * @param firstOffset where cell 0 lies on the export, in bytes; the others follow
     * @param cellSize bytes a cell
     */
    BlockOracle(long firstOffset, int cellCount, int cellSize) {
        this.firstOffset = firstOffset;
        this.cellSize = cellSize;
        for (int cell = 0; cell < cellCount; cell++) {
            Version zeroes = new Version(cell, new byte[cellSize]);
            zeroes.replied = ++tick;
            candidates.add(new ArrayList<>(List.of(zeroes)));
        }
    }

    int cellCount() {
        return candidates.size();
    }

    int cellSize() {
        return cellSize;
    }

    /** Where a cell lies on the export, in bytes. */
    long offset(int cell) {
        return firstOffset + (long) cell * cellSize;
    }

    /** Takes note that a content is about to be sent. */
    synchronized Version sending(int cell, byte[] content) {
        Version version = new Version(cell, content);
        candidates.get(cell).add(version);
        return version;
    }

    /** What a cell holds, if nobody else is changing it. */
    synchronized byte[] content(int cell) {
        List<Version> versions = candidates.get(cell);
        if (versions.size() != 1) {
            throw new IllegalStateException("cell " + cell + " is being changed");
        }
        return versions.get(0).content;
    }

    /** Fails unless the cell may hold this; from now on, this alone is what it holds. */
    synchronized void settle(int cell, byte[] found) {
        List<Version> versions = candidates.get(cell);
        for (Version version : versions) {
            if (Arrays.equals(version.content, found)) {
                version.replied = ++tick;
                versions.clear();
                versions.add(version);
                return;
            }
        }
        throw new AssertionFailedError(
                ("%d bytes at %d are torn, foreign or lost a replied write: they begin with %s, end"
                                        + " with %s,")
                                .formatted(cellSize, offset(cell), head(found), tail(found))
                        + " they may be "
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
