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
 * @param headerOffset the offset that the header names, which an extended reply repeats: before
 *     {@code offset} in what is left of a request
 */
public record Request(
        @Nullable Command command,
        int flags,
        long cookie,
        long offset,
        long length,
        long payloadLength,
        long headerOffset) {

    /** A request as its header has it. */
    public Request(
            @Nullable Command command,
            int flags,
            long cookie,
            long offset,
            long length,
            long payloadLength) {
        this(command, flags, cookie, offset, length, payloadLength, offset);
    }

    /** A request with a compact header: what a WRITE addresses follows it. */
    public Request(@Nullable Command command, int flags, long cookie, long offset, long length) {
        this(command, flags, cookie, offset, length, command == Command.WRITE ? length : 0);
    }

    /** The same about so many bytes, its payload having been read. */
    public Request withoutPayload(long newLength) {
        return new Request(command, flags, cookie, offset, newLength, 0);
    }

    /** What is left when so many bytes of the payload have been written. */
    public Request after(long written) {
        return new Request(
                command,
                flags,
                cookie,
                offset + written,
                length - written,
                payloadLength - written,
                headerOffset);
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
