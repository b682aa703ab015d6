package pmemblk.nbd.protocol;

import java.util.List;

/**
 * The payload that a BLOCK_STATUS may have, to ask for some of the contexts only.
 *
 * @param length bytes of the range, unsigned 64 bits on the wire
 * @param contextIds those asked for, as they were sent
 */
public record StatusQuery(long length, List<Integer> contextIds) {
    /** Bytes before the IDs. */
    public static final int PREFIX_SIZE = Long.BYTES;

    /** Bytes of an ID. */
    public static final int ID_SIZE = Integer.BYTES;
}
