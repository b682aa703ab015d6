package pmemblk.nbd.server;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import pmemblk.nbd.tls.TlsOptions;

/** Every option with data of every length, and every order of options, in TLS. */
class OptionTableTlsTest extends OptionTableTest {
    @TempDir private static Path certificates = Path.of("");

    @BeforeAll
    static void clientsBeginTls() throws IOException {
        Certificates.make(certificates);
        RawClient.tls = Certificates.trusting(certificates);
    }

    @AfterAll
    static void clientsBeginNoTls() {
        RawClient.tls = null;
    }

    @Override
    TlsOptions tls() {
        return new TlsOptions(certificates, false, false, Map.of());
    }

    @Override
    int longestOrder() {
        return 3;
    }
}
