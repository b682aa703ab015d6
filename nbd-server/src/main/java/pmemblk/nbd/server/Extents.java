package pmemblk.nbd.server;

import java.util.Arrays;
import pmemblk.nbd.export.ExtentState;
import pmemblk.nbd.export.ExtentVisitor;

/**
 * The extents of a range in order, neighbours in the same state made one. For one thread.
 *
 * <p>Zeroes that are shorter than it takes to be worth a word count as data.
 */
final class Extents implements ExtentVisitor {
    /**
     * Telling a client of zeroes takes 32 bytes, and 28 more for the data behind them, which they
     * cut in two; besides, the protocol asks for pieces of no less than 512 bytes.
     */
    static final long SHORTEST_ZEROES = 512;

    private final long shortestZeroes;
    private final int maxCount;

    private long[] lengths = new long[4];
    private ExtentState[] states = new ExtentState[4];
    private int count;

    /**
     * None as yet.
     *
     * @param shortestZeroes bytes from which on zeroes are told from data
     * @param maxCount how many extents to take
     */
    Extents(long shortestZeroes, int maxCount) {
        this.shortestZeroes = shortestZeroes;
        this.maxCount = maxCount;
    }

    @Override
    public boolean extent(ExtentState found, long length) {
        boolean brief = found == ExtentState.ZERO && length < shortestZeroes;
        ExtentState state = brief ? ExtentState.DATA : found;
        if (count > 0 && states[count - 1] == state) {
            lengths[count - 1] += length;
            return true;
        }
        if (count == maxCount) {
            return false;
        }
        if (count == lengths.length) {
            lengths = Arrays.copyOf(lengths, 2 * count);
            states = Arrays.copyOf(states, 2 * count);
        }
        lengths[count] = length;
        states[count] = state;
        count++;
        return true;
    }

    int count() {
        return count;
    }

    ExtentState state(int index) {
        return states[index];
    }

    /** Bytes of an extent, at least 1. */
    long length(int index) {
        return lengths[index];
    }
}
