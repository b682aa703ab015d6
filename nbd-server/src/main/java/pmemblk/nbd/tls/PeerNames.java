package pmemblk.nbd.tls;

import java.security.cert.CertificateEncodingException;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.ASN1String;
import org.bouncycastle.asn1.x500.AttributeTypeAndValue;
import org.bouncycastle.asn1.x500.RDN;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;

/** Whom a certificate was given to. */
public final class PeerNames {
    private PeerNames() {}

    /**
     * The common name, and all alternative names that are text: of hosts, people, services.
     *
     * @throws CertificateParsingException if the certificate has something else in their place
     */
    public static Set<String> of(X509Certificate certificate) throws CertificateParsingException {
        Set<String> names = new HashSet<>();
        for (RDN part : subject(certificate).getRDNs()) {
            for (AttributeTypeAndValue attribute : part.getTypesAndValues()) {
                if (attribute.getType().equals(BCStyle.CN)
                        && attribute.getValue() instanceof ASN1String name) {
                    names.add(name.getString());
                }
            }
        }
        Collection<List<?>> alternatives = certificate.getSubjectAlternativeNames();
        if (alternatives != null) {
            for (List<?> kindAndName : alternatives) {
                if (kindAndName.get(1) instanceof String name) {
                    names.add(name);
                }
            }
        }
        return names;
    }

    private static X500Name subject(X509Certificate certificate)
            throws CertificateParsingException {
        try {
            return new JcaX509CertificateHolder(certificate).getSubject();
        } catch (CertificateEncodingException e) {
            throw new CertificateParsingException(e);
        }
    }
}
