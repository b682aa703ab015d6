package pmemblk.nbd.server;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExtentVisitor;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.TransmissionFlags;

/**
 * What one connection agreed on before transmission.
 *
 * @param exportName the export's own name, also where the client asked for the default one
 * @param contexts what the client may query with BLOCK_STATUS, in the order of their IDs
 */
record Session(String exportName, Export export, ReplyForm form, List<MetaContext> contexts) {

    /** The same with some of its contexts. */
    Session withContexts(List<MetaContext> some) {
        return new Session(exportName, export, form, some);
    }

    /** What the client is told that it can do. */
    int transmissionFlags() {
        int flags =
                TransmissionFlags.HAS_FLAGS
                        | TransmissionFlags.SEND_FLUSH
                        | TransmissionFlags.SEND_FUA
                        | TransmissionFlags.SEND_CACHE
                        | TransmissionFlags.CAN_MULTI_CONN;
        if (form != ReplyForm.SIMPLE) {
            flags |= TransmissionFlags.SEND_DF;
        }
        if (form == ReplyForm.EXTENDED && !contexts.isEmpty()) {
            flags |= TransmissionFlags.BLOCK_STATUS_PAYLOAD;
        }
        return export.info().readOnly()
                ? flags | TransmissionFlags.READ_ONLY
                : flags
                        | TransmissionFlags.SEND_TRIM
                        | TransmissionFlags.SEND_WRITE_ZEROES
                        | TransmissionFlags.SEND_FAST_ZERO;
    }

    /**
     * Fills {@code target} with the bytes from {@code offset} on.
     *
     * @param now whether that must not take long
     * @return false if it would, and must not
     */
    boolean read(long offset, ByteBuffer target, boolean now) throws IOException {
        if (now) {
            return export.readNow(offset, target);
        }
        export.read(offset, target);
        return true;
    }

    /**
     * Tells a visitor what a range holds.
     *
     * @param now whether that must not take long
     * @return false if it would, and must not
     */
    boolean extents(long offset, long length, ExtentVisitor visitor, boolean now)
            throws IOException {
        if (now) {
            return export.extentsNow(offset, length, visitor);
        }
        export.extents(offset, length, visitor);
        return true;
    }
}
