package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.protocol.Limits;

/** A stop in the midst of clients of every kind, of which none does anything about it. */
@Timeout(120)
class StrayClientsTest {
    private static final Duration STOP_TIMEOUT = Duration.ofSeconds(2);

    /** What is needed beyond that: TLS waits three seconds for a client to take its last word. */
    private static final Duration MOST = STOP_TIMEOUT.plusSeconds(8);

    private static final int CLIENTS = 100;
    private static final int MORE_THAN_SOCKETS_HOLD = 16 << 20;
    private static final int INFO = 6;

    /** How far a client has come. */
    private enum State {
        CONNECTED,
        IN_FLAGS,
        GREETED,
        IN_OPTION,
        AGREED,
        IDLE,
        IN_HEADER,
        IN_PAYLOAD,
        IN_REPLY,
        GONE
    }

    private final List<RawClient> clients = new ArrayList<>();
    private NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new MemoryExport(Limits.PAYLOAD, false));
        ServerOptions options =
                new ServerOptions(
                                List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                                List.of())
                        .withStopTimeout(STOP_TIMEOUT)
                        .withTls(InTls.offered());
        server = NbdServer.start(options, new Exports(exports));
    }

    @AfterEach
    void close() throws IOException {
        for (RawClient client : clients) {
            client.close();
        }
        server.close();
    }

    private RawClient client(State state) throws IOException {
        RawClient client = new RawClient(server);
        switch (state) {
            case CONNECTED -> {}
            case IN_FLAGS -> client.out.writeShort(0);
            default -> client.greet();
        }
        switch (state) {
            case CONNECTED, IN_FLAGS, GREETED -> {}
            case IN_OPTION -> client.out.writeLong(0x49484156454f5054L);
            case AGREED -> {
                client.structured();
                client.info(INFO, "disk");
            }
            default -> client.go("disk");
        }
        switch (state) {
            case IN_HEADER -> client.out.writeInt(0x25609513);
            case IN_PAYLOAD -> {
                client.request(RawClient.WRITE, 0, 1, 0, 1 << 20);
                client.out.write(new byte[1000]);
            }
            case IN_REPLY -> client.request(RawClient.READ, 0, 1, 0, MORE_THAN_SOCKETS_HOLD);
            default -> {}
        }
        client.out.flush();
        if (state == State.IN_REPLY) {
            client.in.readInt();
        } else if (state == State.GONE) {
            client.reset();
        }
        return client;
    }

    @Test
    void cve2024_7409StopWaitsForNoClientOfWhateverState() throws IOException {
        for (int i = 0; i < CLIENTS; i++) {
            clients.add(client(State.values()[i % State.values().length]));
        }

        assertTimeout(MOST, server::close);

        for (RawClient client : clients) {
            assertTrue(client.socket.isClosed() || client.isHungUp());
        }
    }
}
