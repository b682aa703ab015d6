package pmemblk.nbd.export;

import java.io.IOException;

/** There is no place for the bytes of a request; others may still be carried out. */
public final class ExportFullException extends IOException {
    private static final long serialVersionUID = 1;

    public ExportFullException(String message, Throwable cause) {
        super(message, cause);
    }
}
