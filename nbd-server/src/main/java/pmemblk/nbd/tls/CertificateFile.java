package pmemblk.nbd.tls;

import java.nio.file.Path;

/** The files of a certificate folder, named as nbdkit, qemu and libnbd name them; all are PEM. */
enum CertificateFile {
    CA_CERT("ca-cert.pem"),
    CA_KEY("ca-key.pem"),
    CA_CRL("ca-crl.pem"),
    SERVER_CERT("server-cert.pem"),
    SERVER_KEY("server-key.pem"),
    CLIENT_CERT("client-cert.pem"),
    CLIENT_KEY("client-key.pem");

    private final String fileName;

    CertificateFile(String fileName) {
        this.fileName = fileName;
    }

    Path in(Path folder) {
        return folder.resolve(fileName);
    }
}
