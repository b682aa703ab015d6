package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/** How many requests are carried out at a time, for one client and for all. */
@Timeout(60)
class RequestLimitTest {
    private static final int IN_FLIGHT = 3;
    private static final int CONNECTIONS = 3;
    private static final int LENGTH = 16;

    private final GatedExport gated = new GatedExport();
    private final GatedExport otherGated = new GatedExport();
    private NbdServer server;

    @BeforeEach
    void start() throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("gated", gated);
        exports.put("other", otherGated);
        exports.put("memory", new MemoryExport(1 << 20, false));
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of());
        ClientLimits limits =
                ClientLimits.DEFAULT
                        .withRequests(IN_FLIGHT)
                        .withConnections(CONNECTIONS, CONNECTIONS);
        server =
                NbdServer.start(
                        options.withThreads(1, 64)
                                .withStopTimeout(Duration.ofSeconds(20))
                                .withLimits(limits),
                        new Exports(exports));
    }

    @AfterEach
    void stop() {
        gated.open(1000);
        otherGated.open(1000);
        server.close();
    }

    /** A client with as many reads under way as may be, and one more request, answered at once. */
    private RawClient busy(String export, GatedExport behind) throws Exception {
        RawClient client = transmitting(export);
        for (int cookie = 0; cookie < IN_FLIGHT; cookie++) {
            client.request(RawClient.READ, 0, cookie, 0, LENGTH);
        }
        client.request(RawClient.CACHE, 0, IN_FLIGHT, 0, LENGTH);
        client.out.flush();
        assertTrue(behind.arrived.tryAcquire(IN_FLIGHT, 20, TimeUnit.SECONDS));
        return client;
    }

    private static void turnTheLoop(RawClient clock) throws IOException {
        for (int i = 0; i < 2; i++) {
            assertEquals(0, clock.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    private RawClient transmitting(String export) throws IOException {
        RawClient client = new RawClient(server);
        client.greet();
        client.go(export);
        return client;
    }

    /** The cookies of the next replies. */
    private static List<Long> replies(RawClient client, int count) throws IOException {
        List<Long> cookies = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            client.in.skipNBytes(8);
            cookies.add(client.in.readLong());
            if (cookies.getLast() < IN_FLIGHT) {
                client.in.skipNBytes(LENGTH);
            }
        }
        return cookies;
    }

    @Test
    void noMoreAreTakenOfAConnectionUntilOneIsAnswered() throws Exception {
        try (RawClient clock = transmitting("memory");
                RawClient client = busy("gated", gated)) {
            turnTheLoop(clock);
            assertEquals(0, client.in.available());

            gated.open(1);
            assertEquals(IN_FLIGHT, replies(client, 2).getLast());
        }
    }

    @Test
    void allConnectionsHaveNoMoreThanTheirNumberTimesThat() throws Exception {
        try (RawClient clock = transmitting("memory");
                RawClient first = busy("gated", gated);
                RawClient second = busy("other", otherGated);
                RawClient tooMany = new RawClient(server)) {
            assertTrue(tooMany.isHungUp());
            turnTheLoop(clock);
            assertEquals(0, first.in.available());
            assertEquals(0, second.in.available());

            gated.open(IN_FLIGHT);
            otherGated.open(IN_FLIGHT);
            replies(first, IN_FLIGHT + 1);
            replies(second, IN_FLIGHT + 1);
        }
    }
}
