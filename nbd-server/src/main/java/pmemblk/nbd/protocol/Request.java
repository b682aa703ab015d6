package pmemblk.nbd.protocol;

import org.jspecify.annotations.Nullable;

/**
 * The header of one request of the transmission phase.
 *
 * @param command null for one that is not spoken here
 * @param flags command flags
 * @param cookie what the reply repeats
 * @param offset bytes, unsigned 64 bits on the wire
 * @param length bytes addressed, unsigned 32 bits on the wire, or 64 in extended headers
 * @param payloadLength the bytes that follow the header
 */
public record Request(
        @Nullable Command command,
        int flags,
        long cookie,
        long offset,
        long length,
        long payloadLength) {

    /** A request with a compact header: what a WRITE addresses follows it. */
    public Request(@Nullable Command command, int flags, long cookie, long offset, long length) {
        this(command, flags, cookie, offset, length, command == Command.WRITE ? length : 0);
    }

    /** The same about so many bytes, its payload having been read. */
    public Request withoutPayload(long newLength) {
        return new Request(command, flags, cookie, offset, newLength, 0);
    }

    /** The same about a part of its range, and without FUA: that is for the whole. */
    public Request piece(long progress, long pieceLength) {
        int flagsOfPiece = flags & ~Command.FLAG_FUA;
        return new Request(command, flagsOfPiece, cookie, offset + progress, pieceLength, 0);
    }

    public boolean has(int flag) {
        return (flags & flag) != 0;
    }
}
