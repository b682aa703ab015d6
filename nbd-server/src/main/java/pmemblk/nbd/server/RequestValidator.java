package pmemblk.nbd.server;

import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;
import pmemblk.nbd.protocol.StatusQuery;

/** Says whether a request may be carried out; touches nothing. */
final class RequestValidator {
    private RequestValidator() {}

    /** Why a request is refused, or null if it is fine. */
    static @Nullable Refusal validate(Request request, Session session) {
        Command command = request.command();
        if (command == null) {
            return invalid("there is no such command here");
        }
        if (command == Command.DISC) {
            // It has no reply, and so none that could refuse it for its flags.
            return null;
        }
        int unknown = request.flags() & ~allowedFlags(command, session);
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
            case READ -> validateRead(request, session.form(), info);
            case CACHE -> isInside(request, info) ? null : outside(NbdError.EINVAL, info);
            case WRITE, TRIM, WRITE_ZEROES -> validateChange(request, info);
            case BLOCK_STATUS -> validateStatus(request, session);
        };
    }

    /** FUA is allowed on all commands, since clients are known to set it on any. */
    private static int allowedFlags(Command command, Session session) {
        int payload = session.form() == ReplyForm.EXTENDED ? Command.FLAG_PAYLOAD_LEN : 0;
        return Command.FLAG_FUA
                | switch (command) {
                    case WRITE_ZEROES -> Command.FLAG_NO_HOLE | Command.FLAG_FAST_ZERO;
                    case READ -> session.form() == ReplyForm.SIMPLE ? 0 : Command.FLAG_DF;
                    case BLOCK_STATUS -> Command.FLAG_REQ_ONE | payload;
                    case WRITE -> payload;
                    case DISC, FLUSH, TRIM, CACHE -> 0;
                };
    }

    private static @Nullable Refusal validateRead(
            Request request, ReplyForm form, ExportInfo info) {
        if (!isInside(request, info)) {
            return outside(NbdError.EINVAL, info);
        }
        // EOVERFLOW is for those whose replies have chunks, and who therefore know it.
        NbdError tooLong = form == ReplyForm.SIMPLE ? NbdError.EINVAL : NbdError.EOVERFLOW;
        return request.length() > Limits.PAYLOAD
                ? new Refusal(tooLong, "a READ is of at most %d bytes".formatted(Limits.PAYLOAD))
                : null;
    }

    private static @Nullable Refusal validateChange(Request request, ExportInfo info) {
        if (info.readOnly()) {
            return new Refusal(NbdError.EPERM, "the export is read-only");
        }
        if (request.command() == Command.WRITE && request.payloadLength() != request.length()) {
            return invalid("a WRITE takes the flag that says that it has a payload");
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
        if (request.has(Command.FLAG_PAYLOAD_LEN)) {
            long ids = request.payloadLength() - StatusQuery.PREFIX_SIZE;
            boolean fits =
                    ids >= 0
                            && ids % StatusQuery.ID_SIZE == 0
                            && ids / StatusQuery.ID_SIZE <= session.contexts().size();
            return fits ? null : invalid("the payload is no length and selected context IDs");
        }
        return validateStatusRange(request, session.export().info());
    }

    /** The same for a BLOCK_STATUS whose header was fine, once its payload is here. */
    static @Nullable Refusal validate(Request request, StatusQuery query, Session session) {
        Set<Integer> ids = new HashSet<>(query.contextIds());
        boolean isDistinct = !ids.isEmpty() && ids.size() == query.contextIds().size();
        session.contexts().forEach(context -> ids.remove(context.id()));
        return isDistinct && ids.isEmpty()
                ? validateStatusRange(
                        request.withoutPayload(query.length()), session.export().info())
                : invalid("the payload does not name selected contexts, each once");
    }

    private static @Nullable Refusal validateStatusRange(Request request, ExportInfo info) {
        if (request.length() == 0) {
            return invalid("BLOCK_STATUS is of at least one byte");
        }
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
