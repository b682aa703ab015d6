package pmemblk.nbd.protocol;

import org.jspecify.annotations.Nullable;

/**
 * The header of one request of the transmission phase.
 *
 * @param command null for one that is not spoken here
 * @param flags command flags
 * @param cookie what the reply repeats
 * @param offset bytes, unsigned 64 bits on the wire
 * @param length bytes addressed, unsigned 32 bits on the wire; so many follow a WRITE
 */
public record Request(@Nullable Command command, int flags, long cookie, long offset, long length) {

    public boolean has(int flag) {
        return (flags & flag) != 0;
    }

    /** The bytes that follow the header. */
    public long payloadLength() {
        return command == Command.WRITE ? length : 0;
    }
}
