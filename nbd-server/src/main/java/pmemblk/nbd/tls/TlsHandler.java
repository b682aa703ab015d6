package pmemblk.nbd.tls;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslHandler;
import java.util.concurrent.Executor;
import java.util.regex.Pattern;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Hands on what went wrong in TLS as the IOException that it is, and not what was received. */
final class TlsHandler extends SslHandler {
    private static final Logger LOG = LoggerFactory.getLogger(TlsHandler.class);

    private static final Pattern CLASS_NAME = Pattern.compile("\\b(?:\\w+\\.)+\\w+Exception: ");

    /**
     * Of one connection.
     *
     * @param threads for what would hold up an event loop
     */
    TlsHandler(SSLEngine engine, Executor threads) {
        super(engine, threads);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) throws Exception {
        Throwable reason = reason(cause);
        if (ctx.isRemoved()) {
            // One of the threads was still at it when the connection was closed.
            LOG.debug("TLS with {} failed after its end", ctx.channel().remoteAddress(), reason);
            return;
        }
        super.exceptionCaught(ctx, reason);
    }

    private static Throwable reason(Throwable cause) {
        Throwable reason =
                cause instanceof DecoderException
                                && cause.getCause() instanceof SSLException failure
                        ? failure
                        : cause;
        if (reason instanceof NotSslRecordException) {
            return new SSLException("expected TLS, received something else");
        }
        return reason instanceof SSLException failure ? withoutClassNames(failure) : reason;
    }

    /** A failure in words for a person; the JDK quotes others by class and message. */
    private static SSLException withoutClassNames(SSLException failure) {
        String message = String.valueOf(failure.getMessage());
        String said = CLASS_NAME.matcher(message).replaceAll("");
        return said.equals(message) ? failure : new SSLException(said, failure);
    }
}
