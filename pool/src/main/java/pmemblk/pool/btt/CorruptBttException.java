package pmemblk.pool.btt;

import java.io.IOException;

/** The medium does not hold a sound block translation table; the message says where and why. */
public final class CorruptBttException extends IOException {
    private static final long serialVersionUID = 1;

    CorruptBttException(String message) {
        super(message);
    }
}
