package pmemblk.nbd.server;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import pmemblk.nbd.tls.TlsOptions;

/** Has servers of a test class offer TLS, and every client begin it behind its greeting. */
final class InTls implements BeforeAllCallback, AfterAllCallback {
    private static @Nullable Path certificates;

    /** How servers offer TLS just now; null if they do not. */
    static @Nullable TlsOptions offered() {
        return certificates == null ? null : new TlsOptions(certificates, false, false, Map.of());
    }

    @Override
    public void beforeAll(ExtensionContext context) throws IOException {
        Path folder = Certificates.make(Files.createTempDirectory("certificates"));
        RawClient.tls = Certificates.trusting(folder);
        certificates = folder;
    }

    @Override
    public void afterAll(ExtensionContext context) throws IOException {
        Path folder = certificates;
        certificates = null;
        RawClient.tls = null;
        if (folder != null) {
            try (Stream<Path> files = Files.list(folder)) {
                List.copyOf(files.toList()).forEach(InTls::delete);
            }
            Files.delete(folder);
        }
    }

    private static void delete(Path file) {
        try {
            Files.delete(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
