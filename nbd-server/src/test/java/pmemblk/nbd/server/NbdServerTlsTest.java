package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import pmemblk.nbd.server.ServerOptions.ClientLimits;
import pmemblk.nbd.tls.TlsOptions;

/** All that the server does, in TLS. */
class NbdServerTlsTest extends NbdServerTest {
    @TempDir private static Path certificates = Path.of("");

    @BeforeAll
    static void clientsBeginTls() throws IOException {
        Certificates.make(certificates);
        RawClient.tls = Certificates.trusting(certificates);
    }

    @AfterAll
    static void clientsBeginNoTls() {
        RawClient.tls = null;
    }

    @Override
    TlsOptions tls() {
        return new TlsOptions(certificates, false, false, Map.of());
    }

    /** In the middle of TLS, and with time for a whole handshake on a slow machine. */
    @Test
    @Override
    void aHandshakeThatTakesTooLongIsEnded() throws IOException {
        restart(ClientLimits.DEFAULT.withTimeouts(Duration.ofSeconds(2), Duration.ofSeconds(60)));
        try (RawClient client = new RawClient(server)) {
            client.in.skipNBytes(18);
            client.out.writeInt(3);
            client.option(5, new byte[0]);
            assertEquals(1, client.optionReply());
            client.out.write(new byte[] {22, 3, 1, 2, 0, 1});
            assertTrue(client.isHungUp());
        }
        try (RawClient client = RawClient.transmitting(server)) {
            assertEquals(0, client.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
        }
    }
}
