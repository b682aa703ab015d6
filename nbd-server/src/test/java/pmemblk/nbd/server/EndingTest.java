package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;

/** How connections end, and what becomes of their requests. */
@Timeout(60)
class EndingTest {
    private static final int IN_FLIGHT = 16;
    private static final int READ_SIZE = 2 << 20;
    private static final int ESHUTDOWN = 108;
    private static final int NO_COMMAND = 99;
    private static final int OPT_EXPORT_NAME = 1;
    private static final int OPT_ABORT = 2;
    private static final int OPT_INFO = 6;
    private static final int OPT_GO = 7;
    private static final int ERR_SHUTDOWN = 0x8000_0007;

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
                        .withThreads(1, 1)
                        .withStopTimeout(Duration.ofSeconds(20))
                        .withLimits(ServerOptions.ClientLimits.DEFAULT.withRequests(IN_FLIGHT));
        server = NbdServer.start(options, new Exports(exports));
    }

    @AfterEach
    void stop() {
        gated.open(1000);
        server.close();
    }

    private void awaitArrivals(int calls) throws InterruptedException {
        assertTrue(gated.arrived.tryAcquire(calls, 20, TimeUnit.SECONDS));
    }

    @Test
    void stopLosesNoReplyOfAClientThatGoesOnSending() throws Exception {
        try (RawClient client = RawClient.transmitting(server)) {
            for (int cookie = 0; cookie < IN_FLIGHT; cookie++) {
                client.request(RawClient.READ, 0, cookie, 0, READ_SIZE);
            }
            client.out.flush();
            awaitArrivals(1);
            // As many as may be are in flight: these stay in the server's socket.
            for (int cookie = 100; cookie < 1000; cookie++) {
                client.request(RawClient.READ, 0, cookie, 0, 1);
            }
            client.out.flush();
            Thread stopping = Thread.ofPlatform().start(server::close);
            awaitNobodyAccepts();
            gated.open(IN_FLIGHT);

            assertEquals(IN_FLIGHT, readsAnsweredToTheEnd(client));
            client.socket.close();
            stopping.join();
        }
    }

    /** How many of the replies that are left bring data; the others are refusals. */
    private static int readsAnsweredToTheEnd(RawClient client) throws IOException {
        int answered = 0;
        for (int magic = client.in.read(); magic >= 0; magic = client.in.read()) {
            client.in.skipNBytes(3);
            int error = client.in.readInt();
            long cookie = client.in.readLong();
            assertEquals(cookie < IN_FLIGHT ? 0 : ESHUTDOWN, error);
            if (error == 0) {
                client.in.skipNBytes(READ_SIZE);
                answered++;
            }
        }
        return answered;
    }

    @Test
    void requestThatComesWhileStoppingIsRefusedAndTheLastReplyStillArrives() throws Exception {
        try (RawClient client = RawClient.transmitting(server);
                RawClient chunked = new RawClient(server)) {
            chunked.greet();
            chunked.structured();
            chunked.go("");
            client.request(RawClient.READ, 0, 1, 0, 16);
            client.out.flush();
            chunked.request(RawClient.READ, 0, 2, 0, 16);
            chunked.out.flush();
            awaitArrivals(1);
            Thread stopping = Thread.ofPlatform().start(server::close);
            while (client.call(NO_COMMAND, 0, 0, 0, new byte[0]) != ESHUTDOWN) {
                // The server has not yet begun to stop.
            }

            assertEquals(ESHUTDOWN, client.call(RawClient.WRITE, 0, 0, 4096, new byte[4096]));
            assertEquals("[error 108: the server is stopping]", chunked.read(0, 3, 512).toString());
            gated.open(2);
            assertEquals(0, client.reply(1, new byte[16]));
            assertEquals("[data at 0 of 16]", chunked.chunks(2).toString());
            assertThrows(EOFException.class, () -> client.in.readByte());
            client.socket.close();
            chunked.socket.close();
            stopping.join();
            assertEquals(List.of("read 0 16", "read 0 16"), gated.done());
        }
    }

    /** Its options are refused, so that it learns why, until the others are through. */
    @Test
    void clientInItsHandshakeWhileStoppingIsToldSo() throws Exception {
        try (RawClient busy = RawClient.transmitting(server);
                RawClient client = new RawClient(server);
                RawClient oldStyle = new RawClient(server);
                RawClient leaving = new RawClient(server);
                RawClient idle = new RawClient(server)) {
            for (RawClient one : List.of(client, oldStyle, leaving, idle)) {
                one.greet();
            }
            busy.request(RawClient.READ, 0, 1, 0, 16);
            busy.out.flush();
            awaitArrivals(1);
            Thread stopping = Thread.ofPlatform().start(server::close);
            while (busy.call(NO_COMMAND, 0, 0, 0, new byte[0]) != ESHUTDOWN) {
                // The server has not yet begun to stop.
            }

            while (client.info(OPT_INFO, "memory") != ERR_SHUTDOWN) {
                // This connection has not yet been told.
            }
            assertEquals(ERR_SHUTDOWN, client.info(OPT_GO, "memory"));
            for (int option : new int[] {3, 8, 9, 11, 99}) {
                client.option(option, new byte[0]);
                assertEquals(ERR_SHUTDOWN, client.optionReply());
            }
            leaving.option(OPT_ABORT, new byte[0]);
            assertEquals(1, leaving.optionReply());
            assertEquals(-1, leaving.in.read());
            oldStyle.option(OPT_EXPORT_NAME, new byte[0]);
            assertEquals(-1, oldStyle.in.read());
            gated.open(1);
            assertEquals(0, busy.reply(1, new byte[16]));
            assertEquals(-1, busy.in.read());
            busy.socket.close();
            assertEquals(-1, idle.in.read());
            stopping.join();
        }
    }

    /** It waits for what a dead connection has begun, and is not let in when that is over. */
    @Test
    void clientThatWaitsToBeginWhileStoppingIsRefused() throws Exception {
        try (RawClient busy = RawClient.transmitting(server);
                RawClient dead = RawClient.transmitting(server);
                RawClient waiting = new RawClient(server)) {
            dead.request(RawClient.WRITE, 0, 1, 0, 16);
            dead.out.write(new byte[16]);
            dead.out.flush();
            awaitArrivals(1);
            dead.reset();
            busy.request(RawClient.READ, 0, 2, 0, 16);
            waiting.greet();
            waiting.option(OPT_GO, new byte[6]);
            for (int i = 0; i < 2; i++) {
                // Answered at once, and so once the loop has turned.
                assertEquals(0, busy.call(RawClient.CACHE, 0, 0, 16, new byte[0]));
            }
            Thread stopping = Thread.ofPlatform().start(server::close);
            while (busy.call(NO_COMMAND, 0, 0, 0, new byte[0]) != ESHUTDOWN) {
                // The server has not yet begun to stop.
            }
            assertEquals(0, waiting.in.available());
            gated.open(1);

            assertEquals(ERR_SHUTDOWN, waiting.optionReply());
            gated.open(1);
            assertEquals(0, busy.reply(2, new byte[16]));
            assertEquals(-1, busy.in.read());
            busy.socket.close();
            stopping.join();
        }
    }

    private void awaitNobodyAccepts() throws IOException {
        try {
            while (true) {
                new RawClient(server).close();
            }
        } catch (SocketException refused) {
            return;
        }
    }

    @Test
    void bytesBehindDiscAreIgnoredAndRepliesArrive() throws Exception {
        try (RawClient client = RawClient.transmitting(server)) {
            client.request(RawClient.READ, 0, 1, 0, READ_SIZE);
            client.request(RawClient.DISC, 0, 2, 0, 0);
            client.out.write(new byte[300_000]);
            client.out.flush();
            awaitArrivals(1);
            gated.open(1);

            assertEquals(0, client.reply(1, new byte[READ_SIZE]));
            assertThrows(EOFException.class, () -> client.in.readByte());
        }
    }

    @Test
    void clientThatHasEndedItsOutputStillGetsItsReplies() throws Exception {
        try (RawClient client = RawClient.transmitting(server)) {
            for (int cookie = 0; cookie < 100; cookie++) {
                client.request(RawClient.READ, 0, cookie, 0, 10);
            }
            client.request(RawClient.DISC, 0, 0, 0, 0);
            client.out.flush();
            client.socket.shutdownOutput();
            awaitArrivals(1);
            gated.open(100);

            for (int cookie = 0; cookie < 100; cookie++) {
                assertEquals(0, client.reply(cookie, new byte[10]));
            }
            assertThrows(EOFException.class, () -> client.in.readByte());
        }
    }

    @Test
    void writesOfAClientThatClosesBehindDiscAreCarriedOut() throws Exception {
        RawClient client = RawClient.transmitting(server);
        for (int i = 0; i < 10; i++) {
            client.request(RawClient.WRITE, 0, i, i * 4096L, 4096);
            client.out.write(new byte[4096]);
        }
        client.request(RawClient.DISC, 0, 0, 0, 0);
        client.out.flush();
        client.close();
        gated.open(100);

        awaitArrivals(10);
        try (RawClient other = RawClient.transmitting(server)) {
            assertEquals(0, other.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
        }
        assertEquals(10, gated.done().stream().filter(call -> call.startsWith("write")).count());
    }
}
