package pmemblk.nbd.server;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.protocol.Option;
import pmemblk.nbd.protocol.OptionError;
import pmemblk.nbd.protocol.OptionReply.Refusal;

/**
 * What the client of one connection may use: by its network, by its certificate, or not before TLS.
 * Belongs to the connection's event loop.
 */
final class Admission {
    static final Refusal FULL =
            new Refusal(OptionError.POLICY, "this export has all the connections that it may have");

    private static final Refusal OTHER_NETWORK =
            new Refusal(OptionError.POLICY, "this export is not for clients of your network");

    private final AccessRules rules;
    private final Channel channel;
    private final TlsUpgrade tls;

    Admission(AccessRules rules, Channel channel, TlsUpgrade tls) {
        this.rules = rules;
        this.channel = channel;
        this.tls = tls;
    }

    /** Why an option is refused, however well-formed it is; null if it is not. */
    @Nullable Refusal refusal(Option option, Exports exports) {
        Refusal forWantOfTls = tls.refusal(option);
        if (forWantOfTls != null) {
            return forWantOfTls;
        }
        return switch (option) {
            case Option.ExportName(String name) -> refusalOf(exports.resolve(name));
            case Option.Info info -> refusalOf(exports.resolve(info.name()));
            case Option.MetaContext query ->
                    withoutHint(refusalOf(exports.resolve(query.exportName())));
            case Option.Abort _,
                    Option.List _,
                    Option.StartTls _,
                    Option.StructuredReply _,
                    Option.ExtendedHeaders _,
                    Option.Unsupported _,
                    Option.Malformed _ ->
                    null;
        };
    }

    /** Where TLS is a matter of some exports, only INFO and GO may be told to begin it. */
    private static @Nullable Refusal withoutHint(@Nullable Refusal refusal) {
        return refusal != null && refusal.error() == OptionError.TLS_REQD
                ? new Refusal(OptionError.POLICY, refusal.reason())
                : refusal;
    }

    /** Whether this client gets an export. */
    boolean isAdmitted(String exportName) {
        return refusalOf(exportName) == null;
    }

    /** Why this client does not get an export, which need not exist; null if it does. */
    private @Nullable Refusal refusalOf(String exportName) {
        return rules.admits(channel.remoteAddress(), exportName)
                ? tls.refusalOf(exportName)
                : OTHER_NETWORK;
    }

    /** Says yes to STARTTLS, the last word that is not encrypted. */
    void beginTls(ChannelHandlerContext ctx) {
        tls.begin(ctx);
    }
}
