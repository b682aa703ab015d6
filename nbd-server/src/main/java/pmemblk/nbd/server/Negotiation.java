package pmemblk.nbd.server;

import java.util.List;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.protocol.ReplyForm;

/**
 * What a client has asked for so far beside its export; a new one has asked for nothing. Belongs to
 * the connection's event loop.
 */
final class Negotiation {
    private ReplyForm form = ReplyForm.SIMPLE;

    /** The export whose contexts were selected, by its own name. */
    private String contextsOf = "";

    private List<MetaContext> contexts = List.of();

    ReplyForm form() {
        return form;
    }

    void structuredReplies() {
        form = ReplyForm.STRUCTURED;
    }

    void extendedHeaders() {
        form = ReplyForm.EXTENDED;
    }

    /**
     * Selects these contexts in the place of all others.
     *
     * @param exportName the export's own
     */
    void select(String exportName, List<MetaContext> selected) {
        contextsOf = exportName;
        contexts = selected;
    }

    /** The session that it comes to with this export, which has contexts selected for it alone. */
    Session session(String exportName, Export export) {
        return new Session(
                exportName, export, form, exportName.equals(contextsOf) ? contexts : List.of());
    }
}
