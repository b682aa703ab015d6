package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.ssl.SslHandler;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.Collections;
import java.util.Set;
import javax.net.ssl.SSLPeerUnverifiedException;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.protocol.HandshakeEncoder;
import pmemblk.nbd.protocol.Option;
import pmemblk.nbd.protocol.OptionCode;
import pmemblk.nbd.protocol.OptionError;
import pmemblk.nbd.protocol.OptionReply;
import pmemblk.nbd.protocol.OptionReply.Refusal;
import pmemblk.nbd.tls.PeerNames;
import pmemblk.nbd.tls.ServerTls;

/**
 * TLS on one connection: what is refused for want of it or to this client, and how it begins.
 * Belongs to the connection's event loop.
 */
final class TlsUpgrade {
    private static final Refusal NOT_OFFERED =
            new Refusal(OptionError.POLICY, "this server does not offer TLS");
    private static final Refusal ALREADY =
            new Refusal(OptionError.INVALID, "TLS has begun already");
    private static final Refusal REQUIRED =
            new Refusal(OptionError.TLS_REQD, "this server requires TLS; begin it first");
    private static final Refusal REQUIRED_HERE =
            new Refusal(OptionError.TLS_REQD, "this export requires TLS; begin it first");
    private static final Refusal FOR_OTHERS =
            new Refusal(OptionError.POLICY, "this export is not for the holder of the certificate");

    private final @Nullable ServerTls tls;
    private final ReceiveBuffer received;

    /** What TLS runs in, once it has begun. */
    private @Nullable SslHandler session;

    /**
     * No TLS yet.
     *
     * @param tls null if none is offered
     */
    TlsUpgrade(@Nullable ServerTls tls, ReceiveBuffer received) {
        this.tls = tls;
        this.received = received;
    }

    /** Why an option is refused until TLS begins, or ever; null if it is not. */
    @Nullable Refusal refusal(Option option) {
        if (option instanceof Option.StartTls) {
            return tls == null ? NOT_OFFERED : session == null ? null : ALREADY;
        }
        boolean required = tls != null && tls.options().required() && session == null;
        return required && option.code() != OptionCode.STARTTLS && option.code() != OptionCode.ABORT
                ? REQUIRED
                : null;
    }

    /** Why this client does not get an export, which need not exist; null if it does. */
    @Nullable Refusal refusalOf(String exportName) {
        Set<String> allowed = tls == null ? null : tls.options().allowedNames().get(exportName);
        if (allowed == null) {
            return null;
        }
        if (session == null) {
            return REQUIRED_HERE;
        }
        return Collections.disjoint(allowed, peerNames(session)) ? FOR_OTHERS : null;
    }

    private static Set<String> peerNames(SslHandler session) {
        try {
            var chain = session.engine().getSession().getPeerCertificates();
            return PeerNames.of((X509Certificate) chain[0]);
        } catch (SSLPeerUnverifiedException | CertificateParsingException nameless) {
            return Set.of();
        }
    }

    /** Says yes to STARTTLS, the last word that is not encrypted. */
    void begin(ChannelHandlerContext ctx) {
        if (tls == null || session != null) {
            throw new IllegalStateException("STARTTLS is refused here");
        }
        ByteBuf out = ctx.alloc().directBuffer();
        HandshakeEncoder.reply(out, OptionCode.STARTTLS, new OptionReply.Ack());
        ctx.writeAndFlush(out);
        session = tls.newHandler();
        received.beginTls();
        ctx.pipeline().addFirst(session);
    }
}
