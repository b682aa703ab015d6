package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSession;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.tls.Revocations;
import pmemblk.nbd.tls.TlsOptions;

/** When TLS begins, what is refused before and after, and to whom. */
@Timeout(60)
class TlsUpgradeTest {
    private static final int EXPORT_NAME = 1;
    private static final int ABORT = 2;
    private static final int LIST = 3;
    private static final int STARTTLS = 5;
    private static final int INFO = 6;
    private static final int GO = 7;
    private static final int STRUCTURED_REPLY = 8;

    private static final int ACK = 1;
    private static final int SERVER = 2;
    private static final int ERR_POLICY = 0x8000_0002;
    private static final int ERR_INVALID = 0x8000_0003;
    private static final int ERR_TLS_REQD = 0x8000_0005;
    private static final int ERR_UNKNOWN = 0x8000_0006;

    private static final byte[] NOTHING = {};

    @TempDir private static Path folder = Path.of("");
    private static Path certificates = Path.of("");
    private static Path others = Path.of("");

    private @Nullable NbdServer server;

    @BeforeAll
    static void makeCertificates() throws IOException {
        certificates = Certificates.make(folder.resolve("ours"));
        others = Certificates.make(folder.resolve("others"));
    }

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @AfterEach
    void stop() {
        if (server != null) {
            server.close();
        }
    }

    private NbdServer serve(@Nullable TlsOptions tls) throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new MemoryExport(Limits.PAYLOAD, false));
        exports.put("other", new MemoryExport(1 << 20, false));
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of(),
                        2,
                        2,
                        Duration.ofMillis(100),
                        ServerOptions.ClientLimits.DEFAULT,
                        tls);
        NbdServer started = NbdServer.start(options, new Exports(exports));
        server = started;
        return started;
    }

    private RawClient connect(@Nullable TlsOptions tls) throws IOException {
        RawClient client = new RawClient(serve(tls));
        client.greet();
        return client;
    }

    private static TlsOptions on() {
        return new TlsOptions(certificates, false, false, Map.of());
    }

    private static TlsOptions required() {
        return new TlsOptions(certificates, true, false, Map.of());
    }

    private static TlsOptions verifying() {
        return new TlsOptions(certificates, true, true, Map.of());
    }

    private static TlsOptions diskOnlyFor(String name) {
        return new TlsOptions(certificates, false, true, Map.of("disk", Set.of(name)));
    }

    private static int answer(RawClient client, int option, byte[] data) throws IOException {
        client.option(option, data);
        return client.optionReply();
    }

    private static byte[] name(String name) {
        return name.getBytes(StandardCharsets.UTF_8);
    }

    private static void requireTransmission(RawClient client) throws IOException {
        byte[] bytes = {1, 2, 3};
        byte[] read = new byte[3];
        assertEquals(0, client.call(RawClient.WRITE, 0, 7, 3, bytes));
        assertEquals(0, client.call(RawClient.READ, 0, 7, 3, read));
        assertArrayEquals(bytes, read);
    }

    // Off, on, required.

    @Test
    void startTlsIsRefusedByPolicyWhereTlsIsOffAndTheHandshakeGoesOn() throws IOException {
        try (RawClient client = connect(null)) {
            assertEquals(ERR_POLICY, answer(client, STARTTLS, NOTHING));
            client.go("disk");
            requireTransmission(client);
        }
    }

    @Test
    void optionsMayFollowARefusedStartTlsInTheSamePacket() throws IOException {
        try (RawClient client = connect(null)) {
            client.out.write(option(STARTTLS, NOTHING));
            client.option(ABORT, NOTHING);
            assertEquals(ERR_POLICY, client.optionReply());
            assertEquals(ACK, client.optionReply());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
    void bothVersionsCarryAllOfASession(String version) throws IOException {
        try (RawClient client = connect(required())) {
            SSLSession session = client.startTls(Certificates.trusting(certificates), version);
            assertEquals(version, session.getProtocol());
            assertEquals(ERR_UNKNOWN, client.info(INFO, "nobody"));
            client.go("");
            requireTransmission(client);
        }
    }

    /** A hello of TLS 1.1, which the JDK's own client no longer says. */
    @Test
    void olderVersionsAreRefused() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ACK, answer(client, STARTTLS, NOTHING));
            String hello = "0302" + "00".repeat(32) + "00" + "0004c013c02f" + "0100";
            client.out.write(HexFormat.of().parseHex("160301002f" + "0100002b" + hello));
            client.out.flush();
            byte[] alert = client.in.readNBytes(7);
            assertEquals("0246", HexFormat.of().formatHex(alert, 5, 7)); // fatal protocol_version
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void whereTlsIsOnItIsTheClientsChoice() throws IOException {
        try (RawClient client = connect(on())) {
            assertEquals(ACK, client.info(INFO, "disk"));
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            requireTransmission(client);
            try (RawClient plain = RawClient.transmitting(requireServer())) {
                requireTransmission(plain);
            }
        }
    }

    private NbdServer requireServer() {
        if (server == null) {
            throw new IllegalStateException("not started");
        }
        return server;
    }

    @ParameterizedTest
    @ValueSource(ints = {LIST, INFO, GO, STRUCTURED_REPLY, 0, 99, -1})
    void whereTlsIsRequiredNoOptionIsAnsweredBefore(int option) throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ERR_TLS_REQD, answer(client, option, NOTHING));
            assertEquals(ERR_TLS_REQD, answer(client, option, new byte[100]));
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
        }
    }

    /** What nbdkit's commit 282c3b03 mended: the option's data was taken for the next option. */
    @Test
    void nbdkit282c3b03DataOfARefusedOptionIsConsumed() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ERR_TLS_REQD, client.info(INFO, "disk"));
            assertEquals(ERR_TLS_REQD, client.info(GO, "n".repeat(Limits.NAME_LENGTH)));
            client.startTls(Certificates.trusting(certificates));
            assertEquals(ACK, client.info(INFO, "disk"));
        }
    }

    @Test
    void nbdkit282c3b03ExportNameHangsUpWhereTlsIsRequired() throws IOException {
        try (RawClient client = connect(required())) {
            client.option(EXPORT_NAME, name("disk"));
            assertEquals(-1, client.in.read());
        }
    }

    @Test
    void abortNeedsNoTls() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ACK, answer(client, ABORT, NOTHING));
        }
    }

    @Test
    void startTlsWithDataIsInvalidAndTlsMayStillBegin() throws IOException {
        try (RawClient client = connect(required())) {
            assertEquals(ERR_INVALID, answer(client, STARTTLS, new byte[1]));
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
        }
    }

    @Test
    void aSecondStartTlsIsInvalidAndTlsGoesOn() throws IOException {
        try (RawClient client = connect(required())) {
            client.startTls(Certificates.trusting(certificates));
            assertEquals(ERR_INVALID, answer(client, STARTTLS, NOTHING));
            client.go("disk");
            requireTransmission(client);
        }
    }

    // What an attacker puts between.

    private static byte[] option(int code, byte[] data) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeLong(0x49484156454f5054L);
        out.writeInt(code);
        out.writeInt(data.length);
        out.write(data);
        return bytes.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 15, 16})
    void cve2021_3716BytesBehindStartTlsHangUp(int count) throws IOException {
        try (RawClient client = connect(on())) {
            client.out.write(option(STARTTLS, NOTHING));
            client.out.write(option(STRUCTURED_REPLY, NOTHING), 0, count);
            client.out.flush();
            assertEquals(-1, client.in.read());
        }
    }

    @Test
    void cve2021_3716PlainOptionInPlaceOfTlsHangsUp() throws IOException {
        try (RawClient client = connect(on())) {
            assertEquals(ACK, answer(client, STARTTLS, NOTHING));
            client.option(STRUCTURED_REPLY, NOTHING);
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void cve2021_3716WhatWasAgreedBeforeTlsIsForgotten() throws IOException {
        try (RawClient client = connect(on())) {
            answer(client, STRUCTURED_REPLY, NOTHING);
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            requireTransmission(client); // which takes simple replies only
        }
    }

    @Test
    void cve2021_3716ClientFlagsOutliveStartTls() throws IOException {
        try (RawClient client = connect(on())) {
            client.startTls(Certificates.trusting(certificates));
            client.option(EXPORT_NAME, name("disk"));
            assertEquals(Limits.PAYLOAD, client.in.readLong());
            client.in.skipNBytes(2);
            requireTransmission(client); // in step: the padding that the flags refuse is not there
        }
    }

    @Test
    void garbageInTheMiddleOfTlsHangsUp() throws IOException {
        try (RawClient client = connect(required())) {
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            client.socket.getOutputStream().write(new byte[100]);
            assertTrue(client.isHungUp());
        }
        try (RawClient client = new RawClient(requireServer())) {
            client.greet();
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
        }
    }

    // Who is let in.

    @Test
    void clientFindsTheServersNameInItsCertificate() throws IOException {
        try (RawClient client = connect(required())) {
            assertThrows(SSLException.class, () -> client.startTls(Certificates.trusting(others)));
        }
    }

    @Test
    void clientsNeedACertificateOfTheAuthorityWhereTheyAreVerified() throws IOException {
        try (RawClient client = connect(verifying())) {
            client.startTls(Certificates.showing(certificates));
            client.go("disk");
            requireTransmission(client);
        }
        requireRefused("TLSv1.2", null);
        requireRefused("TLSv1.3", null);
        requireRefused("TLSv1.2", others);
        requireRefused("TLSv1.3", others);
    }

    /** In TLS 1.3 a client learns only by the first answer that its certificate is not taken. */
    private void requireRefused(String version, @Nullable Path shown) throws IOException {
        try (RawClient client = new RawClient(requireServer())) {
            client.greet();
            var context =
                    shown == null
                            ? Certificates.trusting(certificates)
                            : Certificates.showing(shown, certificates);
            assertThrows(
                    IOException.class,
                    () -> {
                        client.startTls(context, version);
                        client.go("disk");
                    });
        }
    }

    @Test
    void clientsWhoseCertificateIsRevokedAreRefusedAndOthersAreNot() throws IOException {
        Path revoking = Certificates.make(folder.resolve("revoking"));
        Revocations.list(revoking, others.resolve("client-cert.pem"));
        try (RawClient client = connect(new TlsOptions(revoking, true, true, Map.of()))) {
            client.startTls(Certificates.showing(revoking));
            client.go("disk");
        }
        requireServer().close();
        Revocations.list(revoking, revoking.resolve("client-cert.pem"));
        try (RawClient client = connect(new TlsOptions(revoking, true, true, Map.of()))) {
            assertThrows(
                    IOException.class,
                    () -> {
                        client.startTls(Certificates.showing(revoking));
                        client.go("disk");
                    });
        }
    }

    @Test
    void anExportIsGivenToThoseWhoseNamesAreAllowed() throws IOException {
        try (RawClient client = connect(diskOnlyFor("client"))) {
            client.startTls(Certificates.showing(certificates));
            assertEquals(2, listed(client));
            client.go("");
            requireTransmission(client);
        }
    }

    @Test
    void anExportIsRefusedByPolicyToThoseWhoseNamesAreNot() throws IOException {
        try (RawClient client = connect(diskOnlyFor("somebody else"))) {
            client.startTls(Certificates.showing(certificates));
            assertEquals(1, listed(client));
            assertEquals(ERR_POLICY, client.info(INFO, "disk"));
            assertEquals(ERR_POLICY, client.info(GO, ""));
            client.go("other");
            requireTransmission(client);
        }
    }

    @ParameterizedTest
    @CsvSource({"disk", "''"})
    void exportNameOfAnExportForOthersHangsUp(String name) throws IOException {
        try (RawClient client = connect(diskOnlyFor("somebody else"))) {
            client.startTls(Certificates.showing(certificates));
            client.option(EXPORT_NAME, name(name));
            assertTrue(client.isHungUp());
        }
    }

    @Test
    void anExportForNamesIsForNobodyWithoutTls() throws IOException {
        try (RawClient client = connect(diskOnlyFor("client"))) {
            assertEquals(1, listed(client));
            assertEquals(ERR_TLS_REQD, client.info(INFO, "disk"));
            assertEquals(ERR_TLS_REQD, client.info(GO, ""));
            assertEquals(ERR_UNKNOWN, client.info(GO, "nobody"));
            try (RawClient old = new RawClient(requireServer())) {
                old.greet();
                old.option(EXPORT_NAME, name("disk"));
                assertEquals(-1, old.in.read());
            }
            client.go("other");
        }
    }

    private static int listed(RawClient client) throws IOException {
        client.option(LIST, NOTHING);
        int count = 0;
        int type = client.optionReply();
        while (type == SERVER) {
            count++;
            type = client.optionReply();
        }
        assertEquals(ACK, type);
        return count;
    }

    // What TLS carries.

    @Test
    void clientsThatReadNothingHoldUpTheStopTogetherAndNotInTurns() throws IOException {
        NbdServer stopping = serve(required());
        List<RawClient> clients = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            RawClient client = new RawClient(stopping);
            clients.add(client);
            client.greet();
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            client.request(RawClient.READ, 0, 1, 0, Limits.PAYLOAD);
            client.out.flush();
            client.in.readInt();
        }

        assertTimeout(Duration.ofSeconds(9), stopping::close);

        for (RawClient client : clients) {
            client.close();
        }
    }

    /** Sends what it is given in pieces of its own. */
    private static final class ChoppingSocket extends Socket {
        private final SplittableRandom random;
        private final int longest;

        ChoppingSocket(long seed, int longest) {
            random = new SplittableRandom(seed);
            this.longest = longest;
        }

        @Override
        public OutputStream getOutputStream() throws IOException {
            return new FilterOutputStream(super.getOutputStream()) {
                @Override
                public void write(byte[] bytes, int offset, int length) throws IOException {
                    int end = offset + length;
                    for (int at = offset; at < end; ) {
                        int count = Math.min(end - at, 1 + random.nextInt(longest));
                        out.write(bytes, at, count);
                        at += count;
                    }
                }
            };
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 300", "2, 20, 5000", "3, 3000, 400000", "4, 100000, 4000000"})
    void requestsSurviveEverySplitOfTheirRecords(int seed, int longestPiece, int longestPayload)
            throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        try (RawClient client =
                new RawClient(serve(required()), new ChoppingSocket(seed, longestPiece))) {
            client.greet();
            client.startTls(Certificates.trusting(certificates));
            client.go("disk");
            for (int round = 0; round < 20; round++) {
                byte[] bytes = new byte[1 + random.nextInt(longestPayload)];
                random.nextBytes(bytes);
                long offset = random.nextInt(Limits.PAYLOAD - bytes.length);
                client.request(RawClient.WRITE, 0, 1, offset, bytes.length);
                client.out.write(bytes);
                client.request(RawClient.READ, 0, 2, offset, bytes.length);
                byte[] read = new byte[bytes.length];
                assertEquals(0, client.reply(1, NOTHING));
                assertEquals(0, client.reply(2, read));
                assertArrayEquals(bytes, read, "seed " + seed + ", round " + round);
            }
        }
    }
}
