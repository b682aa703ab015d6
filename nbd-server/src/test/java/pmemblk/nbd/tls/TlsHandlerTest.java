package pmemblk.nbd.tls;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.ssl.NotSslRecordException;
import java.security.NoSuchAlgorithmException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLHandshakeException;
import org.junit.jupiter.api.Test;

class TlsHandlerTest {
    private final TlsHandler handler = new TlsHandler(serverEngine(), Runnable::run);
    private final EmbeddedChannel channel = new EmbeddedChannel(handler);
    private final ChannelHandlerContext ctx = channel.pipeline().context(handler);

    @Test
    void failureIsHandedOnAsTheExceptionOfTls() throws Exception {
        SSLException failure = new SSLHandshakeException("certificate_required");

        handler.exceptionCaught(ctx, new DecoderException(failure));

        assertSame(failure, assertThrows(SSLException.class, channel::checkException));
    }

    @Test
    void failureNamesNoClasses() throws Exception {
        var failure =
                new SSLHandshakeException(
                        "(certificate_unknown) PKIX path validation failed:"
                                + " java.security.cert.CertPathValidatorException: Path does not"
                                + " chain with any of the trust anchors");

        handler.exceptionCaught(ctx, new DecoderException(failure));

        assertEquals(
                "(certificate_unknown) PKIX path validation failed: Path does not chain with any of"
                        + " the trust anchors",
                assertThrows(SSLException.class, channel::checkException).getMessage());
    }

    @Test
    void whatWasReceivedInsteadOfTlsIsNotShown() throws Exception {
        var failure = new NotSslRecordException("not an SSL/TLS record: 49484156454f5054");

        handler.exceptionCaught(ctx, new DecoderException(failure));

        String message = assertThrows(SSLException.class, channel::checkException).getMessage();
        assertEquals("expected TLS, received something else", message);
    }

    /** A thread may find only then that it does not like the client's certificate. */
    @Test
    void failureAfterTheConnectionIsClosedBothersNobody() throws Exception {
        channel.close();

        handler.exceptionCaught(ctx, new DecoderException(new SSLHandshakeException("too late")));

        channel.checkException();
    }

    private static SSLEngine serverEngine() {
        try {
            SSLEngine engine = SSLContext.getDefault().createSSLEngine();
            engine.setUseClientMode(false);
            return engine;
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }
}
