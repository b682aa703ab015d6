package pmemblk.nbd.tls;

import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CRLConverter;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.jspecify.annotations.Nullable;

/**
 * Reads PEM files. What a file lacks is said by the message of an {@link IOException}, which names
 * it.
 */
final class Pem {
    private Pem() {}

    /** Makes a Java object of one that was parsed; null if it is something else. */
    private interface Conversion<T> {
        @Nullable T convert(Object parsed) throws GeneralSecurityException, IOException;
    }

    /** The certificates of a file, at least one. */
    static List<X509Certificate> certificates(Path file) throws IOException {
        return read(
                file,
                "a certificate",
                parsed ->
                        parsed instanceof X509CertificateHolder certificate
                                ? new JcaX509CertificateConverter().getCertificate(certificate)
                                : null);
    }

    /** The revocation lists of a file, at least one; none if there is no such file. */
    static List<X509CRL> revocations(Path file) throws IOException {
        return Files.notExists(file)
                ? List.of()
                : read(
                        file,
                        "a revocation list",
                        parsed ->
                                parsed instanceof X509CRLHolder list
                                        ? new JcaX509CRLConverter().getCRL(list)
                                        : null);
    }

    /** The private key of a file, in any of the forms that OpenSSL and GnuTLS write. */
    static PrivateKey privateKey(Path file) throws IOException {
        JcaPEMKeyConverter converter = new JcaPEMKeyConverter();
        return read(
                        file,
                        "a private key without a password",
                        parsed ->
                                switch (parsed) {
                                    case PrivateKeyInfo key -> converter.getPrivateKey(key);
                                    case PEMKeyPair pair -> converter.getKeyPair(pair).getPrivate();
                                    default -> null;
                                })
                .getFirst();
    }

    private static <T> List<T> read(Path file, String what, Conversion<T> conversion)
            throws IOException {
        List<T> found = new ArrayList<>();
        try (PEMParser parser = new PEMParser(new StringReader(text(file)))) {
            for (Object next = parser.readObject(); next != null; next = parser.readObject()) {
                T converted = conversion.convert(next);
                if (converted != null) {
                    found.add(converted);
                }
            }
        } catch (GeneralSecurityException | IOException | RuntimeException e) {
            throw new IOException(file + ": " + reason(e), e);
        }
        if (found.isEmpty()) {
            throw new IOException(file + ": expected " + what + " in PEM, found none");
        }
        return found;
    }

    /**
     * All of a file at once: it may be replaced while it is read. Beside PEM anything may stand.
     */
    private static String text(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.ISO_8859_1);
    }

    private static String reason(Exception e) {
        return switch (e) {
            case NoSuchFileException absent -> "does not exist";
            case AccessDeniedException denied -> "may not be read by this user";
            default -> String.valueOf(e.getMessage());
        };
    }
}
