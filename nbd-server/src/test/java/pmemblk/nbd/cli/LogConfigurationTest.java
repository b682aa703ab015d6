package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.handler.ssl.SslHandler;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class LogConfigurationTest {
    @Test
    void clientsThatReadNothingDoNotFillTheLog() {
        assertFalse(LoggerFactory.getLogger(SslHandler.class).isWarnEnabled());
        assertTrue(LoggerFactory.getLogger(SslHandler.class).isErrorEnabled());
        assertTrue(LoggerFactory.getLogger("io.netty.channel").isWarnEnabled());
    }
}
