package pmemblk.nbd.tls;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.openssl.jcajce.JceOpenSSLPKCS8EncryptorBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ServerCredentialsTest {
    /** What "certtool --generate-privkey" and "openssl ecparam -genkey" begin their files with. */
    private static final String BEFORE_A_KEY =
            """
            Public Key Info:
            \tPublic Key Algorithm: EC/ECDSA
            -----BEGIN EC PARAMETERS-----
            BggqhkjOPQMBBw==
            -----END EC PARAMETERS-----
            """;

    @TempDir private Path folder;

    @BeforeEach
    void makeSet() throws IOException {
        CertificateSet.make(folder, List.of("localhost"));
    }

    private static void write(Path file, Object... objects) throws IOException {
        try (JcaPEMWriter writer = new JcaPEMWriter(Files.newBufferedWriter(file))) {
            for (Object object : objects) {
                writer.writeObject(object);
            }
        }
    }

    private KeyPair replace(String keyType, int bits, String signature) throws Exception {
        KeyPairGenerator generator =
                KeyPairGenerator.getInstance(keyType, new BouncyCastleProvider());
        generator.initialize(bits);
        KeyPair keys = generator.generateKeyPair();
        X500Name name = new X500Name("CN=replaced");
        Date now = Date.from(Instant.now());
        var draft =
                new JcaX509v3CertificateBuilder(
                        name, BigInteger.ONE, now, now, name, keys.getPublic());
        write(
                CertificateFile.SERVER_CERT.in(folder),
                draft.build(new JcaContentSignerBuilder(signature).build(keys.getPrivate())));
        return keys;
    }

    @ParameterizedTest
    @CsvSource({"RSA, 2048, SHA256withRSA", "EC, 256, SHA256withECDSA", "Ed25519, 255, Ed25519"})
    void keysOfEveryKindServe(String keyType, int bits, String signature) throws Exception {
        KeyPair keys = replace(keyType, bits, signature);
        write(
                CertificateFile.SERVER_KEY.in(folder),
                new JcaPKCS8Generator(keys.getPrivate(), null));

        assertNotNull(ServerCredentials.read(folder, true).context());
    }

    @ParameterizedTest
    @CsvSource({
        "RSA, 2048, SHA256withRSA, BEGIN RSA PRIVATE KEY",
        "EC, 256, SHA256withECDSA, BEGIN EC PRIVATE KEY"
    })
    void keysInTheFormsOfOldServe(String keyType, int bits, String signature, String form)
            throws Exception {
        KeyPair keys = replace(keyType, bits, signature);
        Path file = CertificateFile.SERVER_KEY.in(folder);
        write(file, keys.getPrivate());
        Files.writeString(file, BEFORE_A_KEY + Files.readString(file));
        assertTrue(Files.readString(file).contains(form));

        assertNotNull(ServerCredentials.read(folder, true).context());
    }

    @Test
    void aKeyUnderAPasswordIsRefused() throws Exception {
        KeyPair keys = replace("RSA", 2048, "SHA256withRSA");
        var encryptor =
                new JceOpenSSLPKCS8EncryptorBuilder(JcaPKCS8Generator.AES_256_CBC)
                        .setProvider(new BouncyCastleProvider())
                        .setPassword("secret".toCharArray())
                        .build();
        write(
                CertificateFile.SERVER_KEY.in(folder),
                new JcaPKCS8Generator(keys.getPrivate(), encryptor));

        requireRefused("server-key.pem: expected a private key without a password in PEM");
    }

    @Test
    void aKeyOfAnotherCertificateIsRefused() throws IOException {
        Files.delete(CertificateFile.SERVER_KEY.in(folder));
        Files.copy(CertificateFile.CLIENT_KEY.in(folder), CertificateFile.SERVER_KEY.in(folder));

        requireRefused("server-key.pem is not the key of server-cert.pem");
    }

    @Test
    void aKeyOfAnotherKindIsRefused() throws Exception {
        replace("RSA", 2048, "SHA256withRSA");

        requireRefused("server-key.pem is not the key of server-cert.pem");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ca-cert.pem", "server-cert.pem", "server-key.pem"})
    void whatIsMissingOrBrokenIsNamed(String name) throws IOException {
        Path file = folder.resolve(name);
        String whole = Files.readString(file);

        Files.writeString(file, "");
        requireRefused(name + ": expected a ");
        for (int length = 30; length < whole.length() - 40; length += 7) {
            Files.writeString(file, whole.substring(0, length));
            requireRefused(name + ": ");
        }
        Files.delete(file);
        requireRefused(name + ": does not exist");
        Files.createDirectory(file);
        requireRefused(name + ": ");
    }

    @Test
    void theAuthorityIsNeededOnlyToVerifyClients() throws IOException {
        Files.delete(CertificateFile.CA_CERT.in(folder));

        assertEquals(List.of(), ServerCredentials.read(folder, false).authorities());
        requireRefused("ca-cert.pem: does not exist");
    }

    @Test
    void aBrokenRevocationListIsNotPassedOver() throws IOException {
        Files.writeString(CertificateFile.CA_CRL.in(folder), "nothing");

        requireRefused("ca-crl.pem: expected a revocation list");
    }

    private void requireRefused(String reason) {
        IOException refused =
                assertThrows(IOException.class, () -> ServerCredentials.read(folder, true));
        String message = String.valueOf(refused.getMessage());
        assertTrue(message.startsWith(folder.toString()), message);
        assertTrue(message.contains(reason), message);
        assertEquals(1, message.lines().count(), message);
    }
}
