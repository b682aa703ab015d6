package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;
import pmemblk.nbd.tls.CertificateSet;

/** Makes the certificates that {@code serve --tls-certificates} takes. */
@Command(
        name = "tls-init",
        description = {
            "Makes certificates for TLS, valid for ten years: an authority's, a server's and a"
                    + " client's. Replaces none.",
            "",
            "The server needs ca-cert.pem, server-cert.pem and server-key.pem; a client ca-cert.pem"
                    + " and, if the server verifies its peers, client-cert.pem and client-key.pem."
                    + " Keep ca-key.pem where nobody gets at it: it can sign certificates for"
                    + " anyone.",
        },
        footer = "  pmemblk-nbd tls-init --host disks.example /etc/pmemblk-nbd/tls")
final class TlsInitCommand implements Callable<Integer> {
    private static final List<String> LOOPBACK = List.of("localhost", "127.0.0.1", "::1");

    @Option(
            names = "--host",
            paramLabel = "NAME",
            converter = HostName.class,
            description = {
                "A name or address by which clients connect, beside localhost, 127.0.0.1 and ::1;"
                        + " may be repeated."
            })
    private List<String> hosts = new ArrayList<>();

    @Parameters(paramLabel = "DIR", description = "The folder, which is made if it is absent.")
    private Path folder = Path.of("");

    /** Takes what a certificate can hold and a client can connect to. */
    static final class HostName implements ITypeConverter<String> {
        @Override
        public String convert(String text) {
            if (CertificateSet.isHost(text)) {
                return text;
            }
            throw new TypeConversionException(
                    "'"
                            + text
                            + "' is no name or address of a host; write disks.example or 10.0.0.1");
        }
    }

    @Override
    public Integer call() throws IOException {
        if (folder.toString().isEmpty()) {
            throw new IOException("DIR is empty; name the folder, '.' for this one");
        }
        hosts.addAll(LOOPBACK);
        CertificateSet.make(folder, hosts);
        return CommandLine.ExitCode.OK;
    }
}
