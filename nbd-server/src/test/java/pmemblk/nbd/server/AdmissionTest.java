package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.handler.ipfilter.IpSubnetFilterRule;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;

/** Which clients get which export, and how many of them. */
@Timeout(60)
class AdmissionTest {
    private static final int OPT_EXPORT_NAME = 1;
    private static final int OPT_INFO = 6;
    private static final int OPT_GO = 7;
    private static final int ACK = 1;
    private static final int REP_ERR_POLICY = 0x8000_0002;
    private static final int MANY = 1_000_000;
    private static final String HERE = "127.0.0.0/8";
    private static final String ELSEWHERE = "192.0.2.0/24";

    @TempDir private Path folder;

    private final LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
    private final GatedExport gated = new GatedExport();
    private @Nullable NbdServer server;

    @AfterEach
    void stop() {
        gated.open(1000);
        if (server != null) {
            server.close();
        }
    }

    private NbdServer serve(AccessRules rules) throws IOException {
        return serve(rules, InetAddress.getLoopbackAddress());
    }

    private NbdServer serve(AccessRules rules, InetAddress address) throws IOException {
        exports.put("disk", new MemoryExport(1 << 20, false));
        exports.put("other", new MemoryExport(1 << 20, true));
        exports.put("gated", gated);
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(address, 0)),
                        List.of(folder.resolve("socket")));
        // Who waits for a place asks until there is one.
        ServerOptions patient =
                options.withAccess(rules)
                        .withLimits(ServerOptions.ClientLimits.DEFAULT.withOptions(MANY, 64 << 10));
        NbdServer started = NbdServer.start(patient, new Exports(exports));
        server = started;
        return started;
    }

    private static AccessRules atMost(String export, int connections) {
        return new AccessRules(List.of(), Map.of(), Map.of(export, connections));
    }

    private static AccessRules networks(String... networks) {
        return new AccessRules(rules(networks), Map.of(), Map.of());
    }

    private static AccessRules networksOf(String export, String... networks) {
        return new AccessRules(List.of(), Map.of(export, rules(networks)), Map.of());
    }

    private static List<IpSubnetFilterRule> rules(String... networks) {
        return Stream.of(networks).map(AccessRules::network).toList();
    }

    private static RawClient greeting(NbdServer server) throws IOException {
        RawClient client = new RawClient(server);
        client.greet();
        return client;
    }

    // How many.

    @Test
    void exportThatIsFullIsRefusedAndSaysSoAndOthersAreNot() throws IOException {
        NbdServer full = serve(atMost("disk", 2));
        try (RawClient first = RawClient.transmitting(full);
                RawClient second = RawClient.transmitting(full);
                RawClient third = greeting(full);
                RawClient oldStyle = greeting(full)) {
            assertEquals(REP_ERR_POLICY, third.info(OPT_GO, "disk"));
            assertEquals(ACK, third.info(OPT_INFO, "disk"));
            oldStyle.option(OPT_EXPORT_NAME, "disk".getBytes(StandardCharsets.UTF_8));
            assertTrue(oldStyle.isHungUp());

            assertEquals(ACK, third.info(OPT_GO, "other"));
            assertEquals(0, first.call(RawClient.READ, 0, 0, 1, new byte[1]));
            assertEquals(0, second.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"disc", "close", "reset"})
    void placeIsGivenBackHoweverItsClientLeaves(String how) throws IOException {
        NbdServer one = serve(atMost("disk", 1));
        for (int i = 0; i < 50; i++) {
            RawClient client = greeting(one);
            while (client.info(OPT_GO, "disk") == REP_ERR_POLICY) {
                // The server has not seen yet that the one before has left.
            }
            switch (how) {
                case "disc" -> {
                    client.request(RawClient.DISC, 0, 0, 0, 0);
                    client.out.flush();
                    client.close();
                }
                case "close" -> client.close();
                default -> client.reset();
            }
        }
    }

    /** The client that lost its connection comes again, its place being taken by itself. */
    @Test
    void placeOfADeadConnectionIsFreeOnceItsRequestsHaveEnded() throws Exception {
        NbdServer one = serve(atMost("gated", 1));
        RawClient dead = greeting(one);
        dead.go("gated");
        dead.request(RawClient.READ, 0, 1, 0, 10);
        dead.out.flush();
        assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
        dead.reset();
        try (RawClient again = greeting(one)) {
            gated.open(1);
            again.go("gated");
        }
    }

    /** What was sent behind a GO that had to wait, and was refused then, is answered as well. */
    @Test
    void handshakeGoesOnAfterAGoThatHadToWaitAndIsRefused() throws Exception {
        NbdServer one = serve(atMost("gated", 1));
        RawClient dead = greeting(one);
        dead.go("gated");
        dead.request(RawClient.READ, 0, 1, 0, 10);
        dead.out.flush();
        assertTrue(gated.arrived.tryAcquire(20, TimeUnit.SECONDS));
        dead.reset();
        try (RawClient first = greeting(one);
                RawClient second = greeting(one)) {
            for (RawClient client : List.of(first, second)) {
                client.option(OPT_GO, "\0\0\0\5gated\0\0".getBytes(StandardCharsets.UTF_8));
                client.option(OPT_INFO, "\0\0\0\4disk\0\0".getBytes(StandardCharsets.UTF_8));
            }
            gated.open(1);

            int type = first.optionReply();
            RawClient refused = type == REP_ERR_POLICY ? first : second;
            if (refused == second) {
                assertEquals(REP_ERR_POLICY, second.optionReply());
            }
            assertEquals(3, refused.optionReply());
            assertEquals(1 << 20, refused.size);
            assertEquals(ACK, refused.optionReply());
        }
    }

    // From where.

    @Test
    void clientOfAnotherNetworkIsHungUpOnAtOnce() throws IOException {
        NbdServer closed = serve(networks(ELSEWHERE, "2001:db8::/32"));
        try (RawClient client = new RawClient(closed)) {
            assertTrue(client.isHungUp());
        }
    }

    @ParameterizedTest
    @CsvSource({"127.0.0.1, 127.0.0.1", "::1, ::1/128", "::1, ::/0", "127.0.0.1, 0.0.0.0/0"})
    void clientOfAnAllowedNetworkIsServed(String listen, String network) throws IOException {
        NbdServer open = serve(networks(ELSEWHERE, network), InetAddress.ofLiteral(listen));
        RawClient.transmitting(open).close();
    }

    @Test
    void ipv4ClientOfAnIpv6ListenerIsJudgedByItsIpv4Address() throws IOException {
        NbdServer open = serve(networks(HERE), InetAddress.ofLiteral("::"));
        int port = ((InetSocketAddress) open.addresses().getFirst()).getPort();
        try (SocketChannel client =
                SocketChannel.open(
                        new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), port))) {
            assertEquals('N', firstByte(client));
        }
        try (SocketChannel client =
                SocketChannel.open(new InetSocketAddress(InetAddress.ofLiteral("::1"), port))) {
            assertEquals(-1, firstByte(client));
        }
    }

    @Test
    void unixSocketIsOpenToWhomItsPermissionsAdmit() throws IOException {
        serve(
                new AccessRules(
                        rules(ELSEWHERE), Map.of("disk", rules(ELSEWHERE)), Map.of("disk", 1)));
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(folder.resolve("socket")));
            assertEquals('N', firstByte(client));
        }
    }

    private static int firstByte(SocketChannel client) throws IOException {
        ByteBuffer byteOne = ByteBuffer.allocate(1);
        return client.read(byteOne) < 0 ? -1 : byteOne.get(0);
    }

    @Test
    void exportForAnotherNetworkIsRefusedAndNotListed() throws IOException {
        NbdServer some = serve(networksOf("disk", ELSEWHERE));
        try (RawClient client = greeting(some);
                RawClient oldStyle = greeting(some)) {
            assertEquals(REP_ERR_POLICY, client.info(OPT_GO, "disk"));
            assertEquals(REP_ERR_POLICY, client.info(OPT_INFO, ""));
            client.structured();
            assertEquals(List.of("error 2"), client.contexts(false, "disk"));
            client.option(3, new byte[0]);
            assertEquals(2, client.optionReply());
            assertEquals(2, client.optionReply());
            assertEquals(ACK, client.optionReply());
            client.go("other");

            oldStyle.option(OPT_EXPORT_NAME, new byte[0]);
            assertTrue(oldStyle.isHungUp());
        }
    }

    @Test
    void exportForThisNetworkIsServed() throws IOException {
        NbdServer some = serve(networksOf("disk", ELSEWHERE, HERE));
        RawClient.transmitting(some).close();
    }
}
