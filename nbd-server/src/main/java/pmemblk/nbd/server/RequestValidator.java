package pmemblk.nbd.server;

import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.Request;

/** Says whether a request may be carried out; touches nothing. */
final class RequestValidator {
    private RequestValidator() {}

    /** Why a request is refused, or null if it is fine. */
    static @Nullable NbdError validate(Request request, ExportInfo info) {
        Command command = request.command();
        if (command == null || (request.flags() & ~allowedFlags(command)) != 0) {
            return NbdError.EINVAL;
        }
        return switch (command) {
            case DISC -> null;
            case FLUSH -> request.offset() == 0 && request.length() == 0 ? null : NbdError.EINVAL;
            case READ -> validateRead(request, info);
            case CACHE -> isInside(request, info) ? null : NbdError.EINVAL;
            case WRITE, TRIM, WRITE_ZEROES -> validateChange(request, info);
        };
    }

    /** FUA is allowed on all commands, since clients are known to set it on any. */
    private static int allowedFlags(Command command) {
        return command == Command.WRITE_ZEROES
                ? Command.FLAG_FUA | Command.FLAG_NO_HOLE | Command.FLAG_FAST_ZERO
                : Command.FLAG_FUA;
    }

    private static @Nullable NbdError validateRead(Request request, ExportInfo info) {
        if (!isInside(request, info)) {
            return NbdError.EINVAL;
        }
        return request.length() > Limits.PAYLOAD ? NbdError.EOVERFLOW : null;
    }

    private static @Nullable NbdError validateChange(Request request, ExportInfo info) {
        if (info.readOnly()) {
            return NbdError.EPERM;
        }
        if (request.payloadLength() > Limits.PAYLOAD) {
            return NbdError.EINVAL;
        }
        if (!isInside(request, info)) {
            return request.command() == Command.TRIM ? NbdError.EINVAL : NbdError.ENOSPC;
        }
        boolean aligned =
                request.offset() % info.zeroGranularity() == 0
                        && request.length() % info.zeroGranularity() == 0;
        return request.has(Command.FLAG_FAST_ZERO) && !aligned ? NbdError.ENOTSUP : null;
    }

    private static boolean isInside(Request request, ExportInfo info) {
        return request.offset() >= 0
                && request.offset() <= info.size()
                && request.length() <= info.size() - request.offset();
    }
}
