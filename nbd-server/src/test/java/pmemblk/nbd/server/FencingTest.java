package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;

/** No request of a dead connection takes effect once another has begun transmission. */
@Timeout(60)
class FencingTest {
    private static final int IN_FLIGHT = 16;
    private static final int OPT_EXPORT_NAME = 1;
    private static final int OPT_GO = 7;

    private final GatedExport gated = new GatedExport();
    private NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("gated", gated);
        exports.put("memory", new MemoryExport(1 << 20, false));
        ServerOptions options =
                new ServerOptions(
                                List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                                List.of())
                        // One of them for each connection.
                        .withThreads(2, 4)
                        .withStopTimeout(Duration.ofSeconds(20))
                        .withLimits(ServerOptions.ClientLimits.DEFAULT.withRequests(IN_FLIGHT));
        server = NbdServer.start(options, new Exports(exports));
    }

    @AfterEach
    void stop() {
        gated.open(1000);
        server.close();
    }

    /** A client with so many writes on their way, the first of which has begun. */
    private RawClient writing(int count) throws Exception {
        RawClient client = RawClient.transmitting(server);
        for (int i = 0; i < count; i++) {
            client.request(RawClient.WRITE, 0, i, i, 4096);
            client.out.write(new byte[4096]);
        }
        client.out.flush();
        assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
        return client;
    }

    private List<String> writes() {
        return gated.done().stream().filter(call -> call.startsWith("write")).toList();
    }

    /** A client that has asked for the gated export, and has no answer yet. */
    private RawClient asking(int option) throws IOException {
        RawClient client = new RawClient(server);
        client.greet();
        byte[] name = "gated".getBytes(StandardCharsets.UTF_8);
        client.option(option, option == OPT_GO ? new byte[6] : name);
        // Both loops have turned several times before this is done.
        for (int i = 0; i < 4; i++) {
            try (RawClient other = new RawClient(server)) {
                other.greet();
                other.go("memory");
                assertEquals(0, other.call(RawClient.READ, 0, 0, 1, new byte[1]));
            }
        }
        assertEquals(0, client.in.available());
        return client;
    }

    private static void end(RawClient client, String how) throws IOException {
        switch (how) {
            case "reset" -> client.reset();
            case "close" -> client.close();
            case "end of output" -> client.socket.shutdownOutput();
            default -> throw new IllegalArgumentException(how);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reset", "close", "end of output"})
    void goWaitsForWhatHasBegunAndTheRestIsNotCarriedOut(String how) throws Exception {
        RawClient dead = writing(10);
        end(dead, how);
        try (RawClient client = asking(OPT_GO)) {
            gated.open(1);

            awaitAck(client);
            assertEquals(List.of("write 0 4096"), writes());
            gated.open(1000);
            assertEquals(0, client.call(RawClient.WRITE, 0, 100, 1, new byte[1]));
            assertEquals(List.of("write 0 4096", "write 100 1"), writes());
        }
        dead.close();
    }

    private static void awaitAck(RawClient client) throws IOException {
        int type = client.optionReply();
        while (type == 3) {
            type = client.optionReply();
        }
        assertEquals(1, type);
    }

    @Test
    void whatAResetConnectionLeftInTheSocketIsNotCarriedOut() throws Exception {
        writing(2 * IN_FLIGHT + 200).reset();
        try (RawClient client = asking(OPT_GO)) {
            gated.open(1);

            awaitAck(client);
            gated.open(1000);
            assertEquals(0, client.call(RawClient.WRITE, 0, 100, 1, new byte[1]));
            assertEquals(List.of("write 0 4096", "write 100 1"), writes());
        }
    }

    /** The server cannot know of the end, which waits in the client's system, until it replies. */
    @Test
    void endBehindMoreThanTheSocketTakesIsNoticedAtAReply() throws Exception {
        writing(500).close();
        try (RawClient client = asking(OPT_GO)) {
            gated.open(5000);

            awaitAck(client);
            int before = writes().size();
            assertTrue(before < 500);
            assertEquals(0, client.call(RawClient.WRITE, 0, 100_000, 1, new byte[1]));
            assertEquals(before + 1, writes().size());
            assertEquals("write 100000 1", writes().getLast());
        }
    }

    @Test
    void busyConnectionThatLivesHoldsUpGoUntilItsNextReply() throws Exception {
        try (RawClient busy = writing(10 * IN_FLIGHT);
                RawClient client = asking(OPT_GO)) {
            gated.open(1);

            assertEquals(0, busy.reply(0, new byte[0]));
            awaitAck(client);
            gated.open(1000);
            for (int cookie = 1; cookie < 10 * IN_FLIGHT; cookie++) {
                assertEquals(0, busy.reply(cookie, new byte[0]));
            }
        }
    }

    @Test
    void exportNameWaitsAsGoDoes() throws Exception {
        writing(1).reset();
        try (RawClient client = asking(OPT_EXPORT_NAME)) {
            gated.open(1);

            assertEquals(1L << 40, client.in.readLong());
            assertEquals(List.of("write 0 4096"), writes());
            client.in.skipNBytes(2);
            gated.open(1000);
            assertEquals(0, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    @Test
    void requestsOfALivingConnectionHoldNobodyUp() throws Exception {
        try (RawClient busy = writing(3);
                RawClient other = RawClient.transmitting(server)) {
            assertEquals(List.of(), writes());
            gated.open(1000);
            assertEquals(0, other.call(RawClient.READ, 0, 0, 1, new byte[1]));
            for (int cookie = 0; cookie < 3; cookie++) {
                assertEquals(0, busy.reply(cookie, new byte[0]));
            }
        }
    }

    /** Its end would be known: what is left in its socket has room there. */
    @Test
    void asManyRequestsOfALivingConnectionAsMayBeHoldNobodyUp() throws Exception {
        try (RawClient busy = RawClient.transmitting(server)) {
            for (int i = 0; i < 2 * IN_FLIGHT; i++) {
                busy.request(RawClient.WRITE_ZEROES, 0, i, i, 4096);
            }
            busy.out.flush();
            assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
            try (RawClient other = RawClient.transmitting(server)) {
                assertEquals(List.of(), gated.done());
                gated.open(1000);
                assertEquals(0, other.call(RawClient.READ, 0, 0, 1, new byte[1]));
            }
            for (int cookie = 0; cookie < 2 * IN_FLIGHT; cookie++) {
                assertEquals(0, busy.reply(cookie, new byte[0]));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reset", "close", "end of output"})
    void endOfAConnectionWithAsManyRequestsAsMayBeIsNoticed(String how) throws Exception {
        RawClient dead = writing(IN_FLIGHT + 2);
        end(dead, how);
        try (RawClient client = asking(OPT_GO)) {
            gated.open(1);

            awaitAck(client);
            assertEquals(List.of("write 0 4096"), writes());
        }
        dead.close();
    }

    @Test
    void goWaitsForAllThatWasAskedForBeforeDisc() throws Exception {
        RawClient done = writing(3);
        done.request(RawClient.DISC, 0, 9, 0, 0);
        done.out.flush();
        done.socket.shutdownOutput();
        try (RawClient client = asking(OPT_GO)) {
            gated.open(3);

            awaitAck(client);
            assertEquals(3, writes().size());
        }
        done.close();
    }

    @Test
    void requestsBehindGoWaitWithIt() throws Exception {
        writing(1).reset();
        try (RawClient client = asking(OPT_GO)) {
            client.request(RawClient.TRIM, 0, 7, 0, 520);
            client.out.flush();
            gated.open(1000);

            awaitAck(client);
            assertEquals(0, client.reply(7, new byte[0]));
        }
    }

    @Test
    void clientsThatLeaveWhileTheyWaitHarmNobody() throws Exception {
        writing(1).reset();
        asking(OPT_GO).reset();
        asking(OPT_GO).close();
        try (RawClient client = asking(OPT_GO)) {
            gated.open(1000);

            awaitAck(client);
            assertEquals(0, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    @Test
    void longZeroOfADeadConnectionIsCutShort() throws Exception {
        RawClient dead = RawClient.transmitting(server);
        dead.request(RawClient.WRITE_ZEROES, 0, 1, 0, 1 << 30);
        dead.out.flush();
        assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
        dead.reset();
        try (RawClient client = asking(OPT_GO)) {
            gated.open(1);

            awaitAck(client);
            assertEquals(List.of("zero 0 " + 4096 * 520), gated.done());
        }
    }
}
