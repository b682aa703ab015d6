package pmemblk.pool.btt;

/**
 * A map entry: 4 bytes that say what one block holds and which postmap block it owns.
 *
 * <pre>
 * bits 31..30  state    reading gives    bits 29..0
 *      00      initial  zeroes           nothing: owns the postmap block of its own number
 *      10      zero     zeroes           the postmap block owned
 *      01      error    an error         the postmap block owned
 *      11      normal   the data         the postmap block owned, which holds the data
 * </pre>
 */
final class MapEntry {
    static final int SIZE = 4;
    static final int ZERO = 0x8000_0000;
    static final int ERROR = 0x4000_0000;
    static final int NORMAL = ZERO | ERROR;

    private static final int BLOCK = ~NORMAL;

    private MapEntry() {}

    static int normal(int postmapLba) {
        return NORMAL | postmapLba;
    }

    static boolean isNormal(int entry) {
        return (entry & NORMAL) == NORMAL;
    }

    static boolean isError(int entry) {
        return (entry & NORMAL) == ERROR;
    }

    static boolean isInitial(int entry) {
        return (entry & NORMAL) == 0;
    }

    static boolean readsAsZeroes(int entry) {
        return (entry & ERROR) == 0;
    }

    /** Whether reading gives the same: zeroes, an error or data. */
    static boolean sameState(int entry, int other) {
        return isError(entry) == isError(other) && readsAsZeroes(entry) == readsAsZeroes(other);
    }

    /** The postmap block that an entry names; an initial one has to be made {@link #explicit}. */
    static int postmapLba(int entry) {
        return entry & BLOCK;
    }

    /**
     * The entry as flogs and recovery show it: an initial one names its block as normal ones do.
     */
    static int explicit(int entry, int premapLba) {
        return isInitial(entry) ? normal(premapLba) : entry;
    }

    static int zero(int explicitEntry) {
        return ZERO | postmapLba(explicitEntry);
    }

    static int error(int explicitEntry) {
        return ERROR | postmapLba(explicitEntry);
    }
}
