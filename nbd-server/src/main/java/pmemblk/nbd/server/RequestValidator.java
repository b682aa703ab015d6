package pmemblk.nbd.server;

import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;

/** Says whether a request may be carried out; touches nothing. */
final class RequestValidator {
    private RequestValidator() {}

    /** Why a request is refused, or null if it is fine. */
    static @Nullable Refusal validate(Request request, Session session) {
        Command command = request.command();
        if (command == null) {
            return invalid("there is no such command here");
        }
        int unknown = request.flags() & ~allowedFlags(command, session.form());
        if (unknown != 0) {
            return invalid("%s takes no command flags %#x".formatted(command, unknown));
        }
        ExportInfo info = session.export().info();
        return switch (command) {
            case DISC -> null;
            case FLUSH ->
                    request.offset() == 0 && request.length() == 0
                            ? null
                            : invalid("FLUSH is of the whole export, at offset 0 and length 0");
            case READ -> validateRead(request, info);
            case CACHE -> isInside(request, info) ? null : outside(NbdError.EINVAL, info);
            case WRITE, TRIM, WRITE_ZEROES -> validateChange(request, info);
            case BLOCK_STATUS -> validateStatus(request, session);
        };
    }

    /** FUA is allowed on all commands, since clients are known to set it on any. */
    private static int allowedFlags(Command command, ReplyForm form) {
        return switch (command) {
            case WRITE_ZEROES -> Command.FLAG_FUA | Command.FLAG_NO_HOLE | Command.FLAG_FAST_ZERO;
            case READ ->
                    form == ReplyForm.SIMPLE
                            ? Command.FLAG_FUA
                            : Command.FLAG_FUA | Command.FLAG_DF;
            case BLOCK_STATUS -> Command.FLAG_FUA | Command.FLAG_REQ_ONE;
            default -> Command.FLAG_FUA;
        };
    }

    private static @Nullable Refusal validateRead(Request request, ExportInfo info) {
        if (!isInside(request, info)) {
            return outside(NbdError.EINVAL, info);
        }
        return request.length() > Limits.PAYLOAD
                ? new Refusal(
                        NbdError.EOVERFLOW,
                        "a READ is of at most %d bytes".formatted(Limits.PAYLOAD))
                : null;
    }

    private static @Nullable Refusal validateChange(Request request, ExportInfo info) {
        if (info.readOnly()) {
            return new Refusal(NbdError.EPERM, "the export is read-only");
        }
        if (request.payloadLength() > Limits.PAYLOAD) {
            return invalid("a WRITE is of at most %d bytes".formatted(Limits.PAYLOAD));
        }
        if (!isInside(request, info)) {
            return outside(
                    request.command() == Command.TRIM ? NbdError.EINVAL : NbdError.ENOSPC, info);
        }
        boolean aligned =
                request.offset() % info.blockSize() == 0
                        && request.length() % info.blockSize() == 0;
        return request.has(Command.FLAG_FAST_ZERO) && !aligned
                ? new Refusal(
                        NbdError.ENOTSUP,
                        "zeroing is fast for whole blocks of %d bytes".formatted(info.blockSize()))
                : null;
    }

    private static @Nullable Refusal validateStatus(Request request, Session session) {
        if (session.contexts().isEmpty()) {
            return invalid("no metadata context was selected for this export");
        }
        if (request.length() == 0) {
            return invalid("BLOCK_STATUS is of at least one byte");
        }
        ExportInfo info = session.export().info();
        return isInside(request, info) ? null : outside(NbdError.EINVAL, info);
    }

    private static Refusal invalid(String reason) {
        return new Refusal(NbdError.EINVAL, reason);
    }

    private static Refusal outside(NbdError error, ExportInfo info) {
        return new Refusal(
                error, "the range does not lie within the %d bytes".formatted(info.size()));
    }

    private static boolean isInside(Request request, ExportInfo info) {
        return request.offset() >= 0
                && request.offset() <= info.size()
                && request.length() >= 0
                && request.length() <= info.size() - request.offset();
    }
}
