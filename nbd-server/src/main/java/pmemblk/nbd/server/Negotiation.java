package pmemblk.nbd.server;

import pmemblk.nbd.export.Export;
import pmemblk.nbd.protocol.ReplyForm;

/**
 * What a client has asked for so far beside its export; a new one has asked for nothing. Belongs to
 * the connection's event loop.
 */
final class Negotiation {
    private ReplyForm form = ReplyForm.SIMPLE;

    void structuredReplies() {
        form = ReplyForm.STRUCTURED;
    }

    /** The session that it comes to with this export. */
    Session session(String exportName, Export export) {
        return new Session(exportName, export, form);
    }
}
