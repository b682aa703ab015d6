package pmemblk.nbd.tls;

import java.io.IOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.net.ssl.CertPathTrustManagerParameters;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

/**
 * What a server shows to its clients, and what it judges theirs by.
 *
 * @param chain the server's certificate first, then those between it and its authority
 * @param authorities whose word is taken for clients; empty if none needs a certificate
 * @param revocations what the authorities have taken back; if empty, nobody asks
 */
record ServerCredentials(
        PrivateKey key,
        List<X509Certificate> chain,
        List<X509Certificate> authorities,
        List<X509CRL> revocations) {

    /** All that have no known weaknesses. */
    private static final List<String> VERSIONS = List.of("TLSv1.3", "TLSv1.2");

    private static final String PKIX = "PKIX";

    /**
     * PKIX would decrypt the key anew for each handshake, as if it had a password: 2 ms and more.
     */
    private static final String KEY_READ_ONCE = "SunX509";

    /** The key store is in memory only. */
    private static final char[] NO_PASSWORD = {};

    /**
     * Reads them from a folder.
     *
     * @throws IOException if a file is missing or holds something else, or the files do not fit
     *     each other; the message says which
     */
    static ServerCredentials read(Path folder, boolean verifyPeer) throws IOException {
        Path keyFile = CertificateFile.SERVER_KEY.in(folder);
        List<X509Certificate> chain = Pem.certificates(CertificateFile.SERVER_CERT.in(folder));
        PrivateKey key = Pem.privateKey(keyFile);
        if (!fits(key, chain.getFirst().getPublicKey())) {
            throw new IOException(
                    keyFile + " is not the key of server-cert.pem; put the two there together");
        }
        return new ServerCredentials(
                key,
                chain,
                verifyPeer ? Pem.certificates(CertificateFile.CA_CERT.in(folder)) : List.of(),
                verifyPeer ? Pem.revocations(CertificateFile.CA_CRL.in(folder)) : List.of());
    }

    private static boolean fits(PrivateKey key, PublicKey publicKey) {
        byte[] text = {1, 2, 3};
        try {
            Signature signature = Signature.getInstance(signatureAlgorithm(key));
            signature.initSign(key);
            signature.update(text);
            byte[] signed = signature.sign();
            signature.initVerify(publicKey);
            signature.update(text);
            return signature.verify(signed);
        } catch (GeneralSecurityException ofAnotherKind) {
            return false;
        }
    }

    private static String signatureAlgorithm(PrivateKey key) {
        return switch (key.getAlgorithm()) {
            case "RSA" -> "SHA256withRSA";
            case "EC" -> "SHA256withECDSA";
            default -> key.getAlgorithm();
        };
    }

    /**
     * The versions of TLS to speak: 1.3, too, unless clients are likely to show RSA certificates.
     * GnuTLS (3.7 at least), which nearly all NBD clients use, keeps one of these back in 1.3 from
     * servers that take no PKCS #1 signatures for the handshake, as RFC 8446 (4.2.3) has it and
     * Java does.
     */
    List<String> versions() {
        boolean rsa =
                authorities.stream()
                        .anyMatch(each -> each.getPublicKey().getAlgorithm().equals("RSA"));
        return rsa ? VERSIONS.subList(1, 2) : VERSIONS;
    }

    /** TLS that shows these credentials, and asks clients for theirs if told to. */
    SSLContext context() throws IOException {
        try {
            KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
            keys.load(null, null);
            keys.setKeyEntry("server", key, NO_PASSWORD, chain.toArray(X509Certificate[]::new));
            KeyManagerFactory own = KeyManagerFactory.getInstance(KEY_READ_ONCE);
            own.init(keys, NO_PASSWORD);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(own.getKeyManagers(), trust(), null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IOException("TLS does not take the certificates: " + e.getMessage(), e);
        }
    }

    private TrustManager[] trust() throws GeneralSecurityException {
        if (authorities.isEmpty()) {
            return new TrustManager[0];
        }
        Set<TrustAnchor> anchors = new HashSet<>();
        for (X509Certificate authority : authorities) {
            anchors.add(new TrustAnchor(authority, null));
        }
        PKIXBuilderParameters rules = new PKIXBuilderParameters(anchors, new X509CertSelector());
        rules.setRevocationEnabled(false);
        if (!revocations.isEmpty()) {
            rules.addCertPathChecker(revocationChecker());
            rules.addCertStore(
                    CertStore.getInstance(
                            "Collection", new CollectionCertStoreParameters(revocations)));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(PKIX);
        factory.init(new CertPathTrustManagerParameters(rules));
        return factory.getTrustManagers();
    }

    /** Goes by the list that is there, and asks nobody over the network. */
    private static PKIXRevocationChecker revocationChecker() throws GeneralSecurityException {
        PKIXRevocationChecker checker =
                (PKIXRevocationChecker) CertPathBuilder.getInstance(PKIX).getRevocationChecker();
        checker.setOptions(
                EnumSet.of(
                        PKIXRevocationChecker.Option.PREFER_CRLS,
                        PKIXRevocationChecker.Option.NO_FALLBACK));
        return checker;
    }
}
