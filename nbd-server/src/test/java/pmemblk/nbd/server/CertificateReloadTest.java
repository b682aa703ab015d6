package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.cert.Certificate;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.tls.ServerTls;
import pmemblk.nbd.tls.TlsOptions;

/** Certificates that are replaced while a server uses them. */
@Timeout(60)
class CertificateReloadTest {
    @TempDir private Path folder;

    private final BlockingQueue<String> log = new LinkedBlockingQueue<>();
    private final Logger logger = (Logger) LoggerFactory.getLogger(ServerTls.class);
    private final AppenderBase<ILoggingEvent> appender =
            new AppenderBase<>() {
                @Override
                protected void append(ILoggingEvent event) {
                    log.add(event.getFormattedMessage());
                }
            };

    private Path used;
    private Path newer;
    private NbdServer server;

    @BeforeEach
    void start() throws IOException {
        appender.start();
        logger.addAppender(appender);
        logger.setLevel(Level.INFO);
        used = Certificates.make(folder.resolve("used"));
        newer = Certificates.make(folder.resolve("newer"));
        LinkedHashMap<String, MemoryExport> exports = new LinkedHashMap<>();
        exports.put("disk", new MemoryExport(1 << 20, false));
        ServerOptions options =
                new ServerOptions(
                                List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                                List.of())
                        .withTls(new TlsOptions(used, true, true, Map.of()));
        server = NbdServer.start(options, new Exports(exports));
    }

    @AfterEach
    void stop() {
        server.close();
        logger.detachAppender(appender);
        logger.setLevel(null);
    }

    private void copy(String file) throws IOException {
        Files.copy(newer.resolve(file), used.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }

    private void awaitLog(String part) throws InterruptedException {
        String line = "";
        while (!line.contains(part)) {
            line = log.poll(20, TimeUnit.SECONDS);
            assertTrue(line != null, "not logged: " + part);
        }
    }

    private Certificate[] shownTo(Path client) throws IOException {
        try (RawClient raw = new RawClient(server)) {
            raw.greet();
            Certificate[] chain = raw.startTls(Certificates.showing(client)).getPeerCertificates();
            raw.go("disk");
            return chain;
        }
    }

    private static Certificate[] of(Path folder) throws IOException {
        return new Certificate[] {Certificates.certificate(folder.resolve("server-cert.pem"))};
    }

    @Test
    void newConnectionsGetNewCertificatesAndOldOnesGoOn() throws Exception {
        assertArrayEquals(of(used), shownTo(used));
        Path old = Files.createDirectory(folder.resolve("old"));
        for (String file : List.of("ca-cert.pem", "client-cert.pem", "client-key.pem")) {
            Files.copy(used.resolve(file), old.resolve(file));
        }
        log.clear();
        try (RawClient early = new RawClient(server)) {
            early.greet();
            early.startTls(Certificates.showing(old));

            for (String file : List.of("ca-cert.pem", "server-cert.pem", "server-key.pem")) {
                copy(file);
            }
            awaitLog("valid until");

            assertArrayEquals(of(newer), shownTo(newer));
            assertThrows(IOException.class, () -> shownTo(old));
            early.go("disk");
            assertEquals(0, early.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
        }
    }

    @Test
    void certificatesThatDoNotServeReplaceNone() throws Exception {
        Certificate[] before = of(used);

        copy("server-key.pem");
        awaitLog("server-key.pem is not the key of server-cert.pem");
        assertArrayEquals(before, shownTo(used));

        Files.writeString(used.resolve("server-cert.pem"), "no certificate");
        awaitLog("server-cert.pem: expected a certificate");
        Files.delete(used.resolve("server-key.pem"));
        Files.delete(used.resolve("server-cert.pem"));
        awaitLog("server-cert.pem: does not exist");
        assertArrayEquals(before, shownTo(used));

        copy("server-cert.pem");
        copy("server-key.pem");
        awaitLog("valid until");
    }
}
