package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/** All that the server does, in TLS. */
@ExtendWith(InTls.class)
class NbdServerTlsTest extends NbdServerTest {
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
