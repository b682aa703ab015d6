package pmemblk.nbd.server;

import java.util.Arrays;
import pmemblk.nbd.export.ExtentState;
import pmemblk.nbd.export.ExtentVisitor;

/**
 * The extents of a range in order, neighbours in the same state made one. For one thread.
 *
 * <p>Zeroes too few to be worth a word count as data where they border on it.
 */
final class Extents implements ExtentVisitor {
    /**
     * Telling a client of zeroes takes 32 bytes, and 28 more for the data behind them, which they
     * cut in two; besides, the protocol asks for pieces of no less than 512 bytes.
     */
    private static final long SHORTEST_ZEROES = 512;

    private final int maxCount;

    private long[] lengths = new long[4];
    private ExtentState[] states = new ExtentState[4];
    private int count;

    /**
     * None as yet.
     *
     * @param maxCount how many extents to take
     */
    Extents(int maxCount) {
        this.maxCount = maxCount;
    }

    @Override
    public boolean extent(ExtentState found, long length) {
        ExtentState state = found;
        if (count > 0) {
            ExtentState last = states[count - 1];
            if (last == ExtentState.DATA && isBrief(found, length)) {
                state = ExtentState.DATA;
            } else if (found == ExtentState.DATA && isBrief(last, lengths[count - 1])) {
                states[count - 1] = ExtentState.DATA;
            }
            if (states[count - 1] == state) {
                lengths[count - 1] += length;
                return true;
            }
        }
        return add(state, length);
    }

    private static boolean isBrief(ExtentState state, long length) {
        return state == ExtentState.ZERO && length < SHORTEST_ZEROES;
    }

    private boolean add(ExtentState state, long length) {
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
