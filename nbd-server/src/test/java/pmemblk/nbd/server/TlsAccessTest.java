package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.tls.Revocations;
import pmemblk.nbd.tls.TlsOptions;

/** Who is let in, and what clients can do then. */
class TlsAccessTest extends TlsFixture {
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
    void contextsOfAnExportThatIsNotGivenReplaceThoseOfAnother() throws IOException {
        try (RawClient client = connect(diskOnlyFor("nobody"))) {
            client.structured();
            client.contexts(true, "other", "base:allocation");
            assertEquals(
                    List.of("error " + (ERR_POLICY & 0xff)),
                    client.contexts(true, "disk", "base:allocation"));
            client.go("other");

            assertEquals(
                    "[error 22: no metadata context was selected for this export]",
                    client.status(0, 0, 512).toString());
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
            // The protocol has no other option be answered so where TLS is not required of all.
            client.structured();
            String policy = "error " + (ERR_POLICY & 0xff);
            assertEquals(List.of(policy), client.contexts(false, "disk"));
            assertEquals(List.of(policy), client.contexts(true, "disk", "base:allocation"));
            assertEquals(1, listed(client));
            try (RawClient old = new RawClient(requireServer())) {
                old.greet();
                old.option(EXPORT_NAME, name("disk"));
                assertEquals(-1, old.in.read());
            }
            assertEquals(ACK, client.info(GO, "other"));
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
