package pmemblk.nbd.tls;

import java.io.IOException;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.util.IPAddress;

/**
 * An authority of one's own, and the certificates that it signs. Keys are on the curve P-256, which
 * every GnuTLS and OpenSSL of today takes.
 */
final class CertificateAuthority {
    /** The life of a server: a disk that fails because of a date helps nobody. */
    private static final Duration VALIDITY = Duration.ofDays(3650);

    /** For clients whose clock is behind. */
    private static final Duration BACKDATING = Duration.ofDays(1);

    private static final int SERIAL_BITS = 127;

    private final SecureRandom random = new SecureRandom();
    private final Identity own;

    /** A certificate and its key. */
    record Identity(X509Certificate certificate, PrivateKey key) {}

    CertificateAuthority(String name) throws GeneralSecurityException, IOException {
        KeyPair keys = newKeys();
        X500Name subject = commonName(name);
        JcaX509v3CertificateBuilder draft = draft(subject, subject, keys.getPublic());
        draft.addExtension(Extension.basicConstraints, true, new BasicConstraints(0));
        draft.addExtension(
                Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign));
        own = new Identity(sign(draft, keys.getPrivate()), keys.getPrivate());
    }

    Identity own() {
        return own;
    }

    /**
     * Signs for a server.
     *
     * @param hosts names and addresses that clients know it by, at least one
     */
    Identity server(List<String> hosts) throws GeneralSecurityException, IOException {
        GeneralName[] names =
                hosts.stream().map(CertificateAuthority::hostName).toArray(GeneralName[]::new);
        KeyPair keys = newKeys();
        JcaX509v3CertificateBuilder draft =
                signedDraft(hosts.getFirst(), KeyPurposeId.id_kp_serverAuth, keys.getPublic());
        draft.addExtension(Extension.subjectAlternativeName, false, new GeneralNames(names));
        return new Identity(sign(draft, own.key), keys.getPrivate());
    }

    /** Signs for a client of this common name. */
    Identity client(String name) throws GeneralSecurityException, IOException {
        KeyPair keys = newKeys();
        JcaX509v3CertificateBuilder draft =
                signedDraft(name, KeyPurposeId.id_kp_clientAuth, keys.getPublic());
        return new Identity(sign(draft, own.key), keys.getPrivate());
    }

    private static GeneralName hostName(String host) {
        int kind = IPAddress.isValid(host) ? GeneralName.iPAddress : GeneralName.dNSName;
        return new GeneralName(kind, host);
    }

    private static X500Name commonName(String name) {
        return new X500NameBuilder().addRDN(BCStyle.CN, name).build();
    }

    /** The JDK's own would be written without the public key, and GnuTLS reads none like that. */
    private KeyPair newKeys() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", new BouncyCastleProvider());
        generator.initialize(new ECGenParameterSpec("secp256r1"), random);
        return generator.generateKeyPair();
    }

    /**
     * A certificate that this authority is to sign. It says nothing of key usage: with keys on a
     * curve there is nothing to choose, and qemu refuses one that does not permit the encipherment
     * of keys, which these cannot do.
     */
    private JcaX509v3CertificateBuilder signedDraft(
            String name, KeyPurposeId purpose, PublicKey key)
            throws GeneralSecurityException, IOException {
        X509Certificate issuer = own.certificate;
        JcaX509v3CertificateBuilder draft =
                draft(new JcaX509CertificateHolder(issuer).getSubject(), commonName(name), key);
        draft.addExtension(Extension.basicConstraints, true, new BasicConstraints(false));
        draft.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(purpose));
        draft.addExtension(
                Extension.authorityKeyIdentifier,
                false,
                new JcaX509ExtensionUtils().createAuthorityKeyIdentifier(issuer));
        return draft;
    }

    private JcaX509v3CertificateBuilder draft(X500Name issuer, X500Name subject, PublicKey key)
            throws GeneralSecurityException, IOException {
        Instant now = Instant.now();
        JcaX509v3CertificateBuilder draft =
                new JcaX509v3CertificateBuilder(
                        issuer,
                        new BigInteger(SERIAL_BITS, random),
                        Date.from(now.minus(BACKDATING)),
                        Date.from(now.plus(VALIDITY)),
                        subject,
                        key);
        draft.addExtension(
                Extension.subjectKeyIdentifier,
                false,
                new JcaX509ExtensionUtils().createSubjectKeyIdentifier(key));
        return draft;
    }

    private static X509Certificate sign(JcaX509v3CertificateBuilder draft, PrivateKey key)
            throws GeneralSecurityException {
        try {
            return new JcaX509CertificateConverter()
                    .getCertificate(
                            draft.build(new JcaContentSignerBuilder("SHA256withECDSA").build(key)));
        } catch (OperatorCreationException e) {
            throw new GeneralSecurityException(e);
        }
    }
}
