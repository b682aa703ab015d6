package pmemblk.nbd.tls;

import java.security.cert.CertificateEncodingException;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.x500.RDN;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x500.style.IETFUtils;
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
        for (RDN common : subject(certificate)) {
            names.add(IETFUtils.valueToString(common.getFirst().getValue()));
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

    private static RDN[] subject(X509Certificate certificate) throws CertificateParsingException {
        try {
            return new JcaX509CertificateHolder(certificate).getSubject().getRDNs(BCStyle.CN);
        } catch (CertificateEncodingException e) {
            throw new CertificateParsingException(e);
        }
    }
}
