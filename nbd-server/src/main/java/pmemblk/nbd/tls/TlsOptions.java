package pmemblk.nbd.tls;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/**
 * How a server offers TLS.
 *
 * @param certificates a folder with server-cert.pem and server-key.pem; with ca-cert.pem, too, if
 *     clients need certificates, and then perhaps with ca-crl.pem, a list of those that are revoked
 * @param required whether nothing is said to clients before they have begun TLS
 * @param verifyPeer whether TLS begins only for clients with a certificate that ca-cert.pem signed
 * @param allowedNames the {@linkplain PeerNames names} of those who may use an export, by the
 *     export's name; an export that is not in here is for everyone. Needs {@code verifyPeer}
 */
public record TlsOptions(
        Path certificates,
        boolean required,
        boolean verifyPeer,
        Map<String, Set<String>> allowedNames) {

    public TlsOptions {
        if (!verifyPeer && !allowedNames.isEmpty()) {
            throw new IllegalArgumentException("names are allowed, and none is verified");
        }
    }

    /** Whether an export is for nobody without TLS. */
    public boolean requiredFor(String exportName) {
        return required || allowedNames.containsKey(exportName);
    }
}
