package pmemblk.nbd.tls;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CertificateSetTest {
    private static final String SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
    private static final String CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

    @TempDir private Path folder;

    private X509Certificate certificate(CertificateFile file) throws IOException {
        return Pem.certificates(file.in(folder)).getFirst();
    }

    @Test
    void aSetIsWholeAndSignedByItsAuthority() throws IOException, GeneralSecurityException {
        CertificateSet.make(folder, List.of("disks.example", "10.0.0.1", "2001:db8::1"));

        X509Certificate authority = certificate(CertificateFile.CA_CERT);
        X509Certificate server = certificate(CertificateFile.SERVER_CERT);
        X509Certificate client = certificate(CertificateFile.CLIENT_CERT);
        authority.verify(authority.getPublicKey());
        server.verify(authority.getPublicKey());
        client.verify(authority.getPublicKey());
        assertEquals(0, authority.getBasicConstraints());
        assertEquals(-1, server.getBasicConstraints());
        assertEquals(List.of(SERVER_AUTH), server.getExtendedKeyUsage());
        assertEquals(List.of(CLIENT_AUTH), client.getExtendedKeyUsage());
        assertEquals(
                Set.of("disks.example", "10.0.0.1", "2001:db8:0:0:0:0:0:1"), PeerNames.of(server));
        assertEquals(Set.of(CertificateSet.CLIENT), PeerNames.of(client));
        Instant inAYear = Instant.now().plus(Duration.ofDays(365));
        for (X509Certificate each : List.of(authority, server, client)) {
            each.checkValidity();
            assertTrue(each.getNotAfter().toInstant().isAfter(inAYear));
        }
    }

    @Test
    void keysAreForTheirOwnerAlone() throws IOException {
        CertificateSet.make(folder, List.of("localhost"));

        try (var files = Files.list(folder)) {
            for (Path file : files.toList()) {
                String mode = PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
                boolean key = file.toString().endsWith("-key.pem");
                assertEquals(key ? "rw-------" : "rw-r--r--", mode, file.toString());
            }
        }
    }

    @Test
    void anAbsentFolderIsMade() throws IOException {
        Path absent = folder.resolve("a/b");

        CertificateSet.make(absent, List.of("localhost"));

        try (var files = Files.list(absent)) {
            assertEquals(
                    Set.of(
                            "ca-cert.pem",
                            "ca-key.pem",
                            "server-cert.pem",
                            "server-key.pem",
                            "client-cert.pem",
                            "client-key.pem"),
                    files.map(file -> file.getFileName().toString()).collect(Collectors.toSet()));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"ca-cert.pem", "ca-crl.pem", "client-key.pem"})
    void noFileIsReplaced(String name) throws IOException {
        Path file = folder.resolve(name);
        Files.writeString(file, "precious");

        IOException refused =
                assertThrows(
                        IOException.class, () -> CertificateSet.make(folder, List.of("localhost")));

        assertTrue(String.valueOf(refused.getMessage()).contains(name + " exists"));
        assertEquals("precious", Files.readString(file));
        try (var files = Files.list(folder)) {
            assertEquals(1, files.count());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"localhost", "a.b-c.example", "10.0.0.1", "::1", "2001:db8::1", "x1", "1.a"})
    void namesAndAddressesAreHosts(String text) {
        assertTrue(CertificateSet.isHost(text));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "a b",
                "a..b",
                ".",
                "-a",
                "a-",
                "*.a",
                "10.0.0.256",
                "10.0.0",
                ":::",
                "fe80::1%eth0",
                "a/b",
                "Größe",
                "a:1"
            })
    void otherThingsAreNot(String text) {
        assertFalse(CertificateSet.isHost(text));
    }
}
