package pmemblk.nbd.tls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import org.bouncycastle.asn1.x509.CRLReason;
import org.bouncycastle.cert.jcajce.JcaX509v2CRLBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** Revocation lists, as an authority writes them. */
public final class Revocations {
    private Revocations() {}

    /** Makes the authority of a folder take back the certificates in these files. */
    public static void list(Path folder, Path... revoked) throws IOException {
        X509Certificate authority = Pem.certificates(CertificateFile.CA_CERT.in(folder)).getFirst();
        PrivateKey key = Pem.privateKey(CertificateFile.CA_KEY.in(folder));
        Instant now = Instant.now();
        JcaX509v2CRLBuilder list = new JcaX509v2CRLBuilder(authority, Date.from(now));
        list.setNextUpdate(Date.from(now.plus(Duration.ofDays(1))));
        for (Path file : revoked) {
            list.addCRLEntry(
                    Pem.certificates(file).getFirst().getSerialNumber(),
                    Date.from(now),
                    CRLReason.keyCompromise);
        }
        try {
            var signed = list.build(new JcaContentSignerBuilder("SHA256withECDSA").build(key));
            try (JcaPEMWriter writer =
                    new JcaPEMWriter(Files.newBufferedWriter(CertificateFile.CA_CRL.in(folder)))) {
                writer.writeObject(signed);
            }
        } catch (OperatorCreationException e) {
            throw new IOException(e);
        }
    }
}
