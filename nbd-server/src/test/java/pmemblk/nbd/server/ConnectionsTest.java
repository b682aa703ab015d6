package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.channel.embedded.EmbeddedChannel;
import java.util.List;
import org.junit.jupiter.api.Test;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

class ConnectionsTest {
    private final Connections connections = new Connections(ClientLimits.DEFAULT);

    /** Or the server would wait for it, not having told it to stop. */
    @Test
    void connectionThatWasAcceptedJustBeforeTheEndIsNotAdmittedAfterIt() {
        EmbeddedChannel early = new EmbeddedChannel();
        assertTrue(connections.admit(early));
        connections.close();

        assertFalse(connections.admit(new EmbeddedChannel()));
        assertEquals(List.of(early), connections.open());
    }

    @Test
    void handshakesAreToldFromTheOthers() {
        EmbeddedChannel done = new EmbeddedChannel();
        EmbeddedChannel undecided = new EmbeddedChannel();
        connections.admit(done);
        connections.admit(undecided);
        connections.handshakeDone(done);

        assertEquals(List.of(done), connections.pastHandshake());
        assertEquals(List.of(done, undecided), connections.open());
    }
}
