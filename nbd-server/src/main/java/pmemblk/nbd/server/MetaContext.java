package pmemblk.nbd.server;

import java.util.List;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.ExtentState;

/**
 * The metadata contexts that clients may query of any export, and what the status flags of their
 * extents say.
 */
enum MetaContext {
    /**
     * The protocol's own: bit 1 is set where the export reads as zeroes. Bit 0, a hole, never is:
     * every block of a pool owns its space, and no write can run out of it.
     */
    ALLOCATION(1, "base:allocation"),

    /**
     * Bit 0 is set where reading fails until the part is written or zeroed, as for blocks in the
     * error state: what to leave out of a copy, or to restore from elsewhere.
     */
    STATE(2, "x-pmemblk:state"),

    /**
     * The flags are a number, the same for all of the export: bytes of the units, the first of
     * which begins at offset 0, that are each written whole or not at all, whatever fails. Who
     * writes pages of this size needs no journal or double write against torn pages.
     */
    ATOMIC_UNIT(3, "x-pmemblk:atomic-unit");

    private static final int FLAG_ZERO = 1 << 1;
    private static final int FLAG_ERROR = 1;

    private final int id;
    private final String title;
    private final String namespace;

    MetaContext(int id, String title) {
        this.id = id;
        this.title = title;
        this.namespace = title.substring(0, title.indexOf(':') + 1);
    }

    /** The name as clients know it. */
    String title() {
        return title;
    }

    /** What stands for it in a session's replies. */
    int id() {
        return id;
    }

    /** Whether a client that asks what there is is told of it. */
    boolean isListedBy(List<String> queries) {
        return queries.isEmpty() || queries.contains(namespace) || queries.contains(title);
    }

    /** Whether a client that selects contexts gets it: a namespace alone selects nothing. */
    boolean isSelectedBy(List<String> queries) {
        return queries.contains(title);
    }

    /** The status flags of an extent. */
    int flags(ExtentState state, ExportInfo info) {
        return switch (this) {
            case ALLOCATION -> state == ExtentState.ZERO ? FLAG_ZERO : 0;
            case STATE -> state == ExtentState.ERROR ? FLAG_ERROR : 0;
            case ATOMIC_UNIT -> info.blockSize();
        };
    }
}
