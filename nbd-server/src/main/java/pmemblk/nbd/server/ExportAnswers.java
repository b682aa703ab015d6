package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.protocol.HandshakeEncoder;
import pmemblk.nbd.protocol.InfoType;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.protocol.Option;
import pmemblk.nbd.protocol.OptionReply;

/** What clients are told of exports before transmission, up to the last reply to their option. */
final class ExportAnswers {
    private ExportAnswers() {}

    /**
     * Names exports.
     *
     * @param shown whether one is for this client
     */
    static void list(ByteBuf out, Option.List option, Exports exports, Predicate<String> shown) {
        for (String name : exports.names()) {
            if (shown.test(name)) {
                String description = Objects.requireNonNull(exports.get(name)).info().description();
                reply(out, option, new OptionReply.Server(name, description));
            }
        }
        reply(out, option, new OptionReply.Ack());
    }

    /** Describes the export of a session that may begin. */
    static void describe(ByteBuf out, Option.Info option, Session session) {
        Set<Integer> infos = option.infos();
        ExportInfo info = session.export().info();
        reply(out, option, new OptionReply.Export(info.size(), session.transmissionFlags()));
        if (infos.contains(InfoType.NAME)) {
            reply(out, option, new OptionReply.Name(session.exportName()));
        }
        if (infos.contains(InfoType.DESCRIPTION)) {
            reply(out, option, new OptionReply.Description(info.description()));
        }
        if (infos.contains(InfoType.BLOCK_SIZE)) {
            int preferred = Math.min(info.preferredBlockSize(), Limits.PAYLOAD);
            // Any offset and length is served, hence a minimum of 1.
            reply(out, option, new OptionReply.BlockSize(1, preferred, Limits.PAYLOAD));
        }
        reply(out, option, new OptionReply.Ack());
    }

    /** The contexts that an option lists, or selects. */
    static List<MetaContext> found(Option.MetaContext option) {
        List<String> queries = option.queries();
        return Arrays.stream(MetaContext.values())
                .filter(
                        context ->
                                option.set()
                                        ? context.isSelectedBy(queries)
                                        : context.isListedBy(queries))
                .toList();
    }

    /** Names contexts, and their IDs if they are selected. */
    static void contexts(ByteBuf out, Option.MetaContext option, List<MetaContext> found) {
        for (MetaContext context : found) {
            int id = option.set() ? context.id() : 0;
            reply(out, option, new OptionReply.MetaContext(id, context.title()));
        }
        reply(out, option, new OptionReply.Ack());
    }

    private static void reply(ByteBuf out, Option option, OptionReply reply) {
        HandshakeEncoder.reply(out, option.code(), reply);
    }
}
