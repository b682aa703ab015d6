package pmemblk.nbd.protocol;

import org.jspecify.annotations.Nullable;

/** The commands of the transmission phase. */
public enum Command {
    READ(0),
    WRITE(1),
    DISC(2),
    FLUSH(3),
    TRIM(4),
    CACHE(5),
    WRITE_ZEROES(6),
    BLOCK_STATUS(7);

    /** Command flag: reply once what this command wrote is durable. */
    public static final int FLAG_FUA = 1;

    /** Command flag of WRITE_ZEROES: keep the space allocated. */
    public static final int FLAG_NO_HOLE = 1 << 1;

    /** Command flag of READ: answer with one piece of data. */
    public static final int FLAG_DF = 1 << 2;

    /** Command flag of BLOCK_STATUS: tell of one extent. */
    public static final int FLAG_REQ_ONE = 1 << 3;

    /** Command flag of WRITE_ZEROES: refuse rather than be as slow as writing. */
    public static final int FLAG_FAST_ZERO = 1 << 4;

    /** Command flag of extended headers: the length is that of a payload, which follows. */
    public static final int FLAG_PAYLOAD_LEN = 1 << 5;

    private static final Command[] BY_CODE = values();

    private final int code;

    Command(int code) {
        this.code = code;
    }

    public int code() {
        return code;
    }

    /** The command of a code, or null if there is none that is spoken here. */
    static @Nullable Command of(int code) {
        return code < BY_CODE.length ? BY_CODE[code] : null;
    }
}
