package pmemblk.nbd.server;

import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.protocol.TransmissionFlags;

/**
 * What one connection agreed on before transmission.
 *
 * @param exportName the export's own name, also where the client asked for the default one
 */
record Session(String exportName, Export export) {

    /** What a client is told that an export can do. */
    static int transmissionFlags(ExportInfo info) {
        int flags =
                TransmissionFlags.HAS_FLAGS
                        | TransmissionFlags.SEND_FLUSH
                        | TransmissionFlags.SEND_FUA
                        | TransmissionFlags.SEND_CACHE
                        | TransmissionFlags.CAN_MULTI_CONN;
        return info.readOnly()
                ? flags | TransmissionFlags.READ_ONLY
                : flags
                        | TransmissionFlags.SEND_TRIM
                        | TransmissionFlags.SEND_WRITE_ZEROES
                        | TransmissionFlags.SEND_FAST_ZERO;
    }
}
