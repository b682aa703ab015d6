package pmemblk.nbd.tls;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigInteger;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Date;
import java.util.Set;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PeerNamesTest {
    /** Names as OpenSSL shows them; a plus sign joins attributes that make one part of the name. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "O=disks,CN=host1 | host1",
                "CN=Doe\\, Jane   | Doe, Jane",
                "CN=a\\+b         | a+b",
                "CN=me+OU=admin   | me",
                "OU=me+CN=somebody | somebody",
            })
    void theCommonNameIsMeantAndNothingBesideIt(String subject, String name) throws Exception {
        assertEquals(Set.of(name), PeerNames.of(certificate(subject)));
    }

    private static X509Certificate certificate(String subject) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(256);
        KeyPair keys = generator.generateKeyPair();
        X500Name name = new X500Name(subject);
        Date now = Date.from(Instant.now());
        var draft =
                new JcaX509v3CertificateBuilder(
                        name, BigInteger.ONE, now, now, name, keys.getPublic());
        return new JcaX509CertificateConverter()
                .getCertificate(
                        draft.build(
                                new JcaContentSignerBuilder("SHA256withECDSA")
                                        .build(keys.getPrivate())));
    }
}
