package pmemblk.nbd.server;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import pmemblk.nbd.tls.CertificateSet;

/** TLS for clients under test, read from a certificate folder by the JDK alone. */
final class Certificates {
    private Certificates() {}

    /** A new set for localhost, in a folder of that name. */
    static Path make(Path folder) throws IOException {
        CertificateSet.make(folder, List.of("localhost"));
        return folder;
    }

    /** A client that trusts the folder's authority. */
    static SSLContext trusting(Path folder) throws IOException {
        return context(folder, new KeyManager[0]);
    }

    /** One that also shows the folder's client certificate. */
    static SSLContext showing(Path folder) throws IOException {
        return showing(folder, folder);
    }

    /** One that shows the certificate of another folder than that of the authority it trusts. */
    static SSLContext showing(Path folder, Path trusted) throws IOException {
        try {
            KeyStore keys = KeyStore.getInstance("PKCS12");
            keys.load(null, null);
            Certificate[] chain = {certificate(folder.resolve("client-cert.pem"))};
            keys.setKeyEntry("c", key(folder.resolve("client-key.pem")), new char[0], chain);
            KeyManagerFactory own = KeyManagerFactory.getInstance("PKIX");
            own.init(keys, new char[0]);
            return context(trusted, own.getKeyManagers());
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        }
    }

    static Certificate certificate(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificate(in);
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        }
    }

    private static PrivateKey key(Path file) throws IOException, GeneralSecurityException {
        String pem = Files.readString(file).replaceAll("-----[A-Z ]+-----|\\s", "");
        return KeyFactory.getInstance("EC")
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
    }

    private static SSLContext context(Path folder, KeyManager[] own) throws IOException {
        try {
            KeyStore trusted = KeyStore.getInstance("PKCS12");
            trusted.load(null, null);
            trusted.setCertificateEntry("ca", certificate(folder.resolve("ca-cert.pem")));
            TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
            trust.init(trusted);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(own, trust.getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        }
    }
}
