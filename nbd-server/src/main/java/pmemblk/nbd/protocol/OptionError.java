package pmemblk.nbd.protocol;

/** Why an option was refused. */
public enum OptionError {
    UNSUP(1),
    POLICY(2),
    INVALID(3),
    TLS_REQD(5),
    UNKNOWN(6),
    SHUTDOWN(7),
    EXT_HEADER_REQD(10);

    private static final int ERROR = 1 << 31;

    private final int code;

    OptionError(int number) {
        this.code = ERROR | number;
    }

    int code() {
        return code;
    }
}
