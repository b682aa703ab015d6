package pmemblk.nbd.tls;

import io.netty.handler.ssl.SslHandler;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * TLS as a server speaks it, by the certificates that lie in its folder now: they are looked at
 * every second. When they have changed, and changed no more for a second, they are read, and new
 * connections get them; if they do not serve, the ones before stay. Thread-safe.
 */
public final class ServerTls implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ServerTls.class);

    private static final long LOOK_MILLIS = 1000;

    private final TlsOptions options;

    /** For whatever would hold up an event loop: reading files, and signing. */
    private final ScheduledExecutorService threads;

    private volatile Current current;

    /** The files as they were at the last look, and when they were last read; for that task. */
    private List<String> seen;

    private List<String> judged;

    /** What new connections get. */
    private record Current(SSLContext context, List<String> versions) {}

    private ServerTls(TlsOptions options, int threadCount) throws IOException {
        this.options = options;
        seen = look();
        judged = seen;
        current = load();
        threads =
                Executors.newScheduledThreadPool(
                        threadCount, new DefaultThreadFactory("nbd-tls", true));
        threads.scheduleWithFixedDelay(
                this::refresh, LOOK_MILLIS, LOOK_MILLIS, TimeUnit.MILLISECONDS);
    }

    /**
     * Reads the certificates, and keeps an eye on them.
     *
     * @param threadCount of the threads that do what would hold up an event loop
     * @throws IOException if they do not serve; the message says why
     */
    public static ServerTls start(TlsOptions options, int threadCount) throws IOException {
        return new ServerTls(options, threadCount);
    }

    public TlsOptions options() {
        return options;
    }

    /**
     * What decrypts and encrypts one connection, whose client begins. It sets no time limit:
     * whoever waits for the client does.
     */
    public SslHandler newHandler() {
        // Not by Netty's SslContext, which takes a second longer to start with Bouncy Castle there.
        Current now = current;
        SSLEngine engine = now.context.createSSLEngine();
        engine.setUseClientMode(false);
        engine.setEnabledProtocols(now.versions.toArray(String[]::new));
        engine.setNeedClientAuth(options.verifyPeer());
        SslHandler handler = new TlsHandler(engine, threads);
        handler.setHandshakeTimeoutMillis(0);
        return handler;
    }

    private Current load() throws IOException {
        ServerCredentials credentials =
                ServerCredentials.read(options.certificates(), options.verifyPeer());
        Current loaded = new Current(credentials.context(), credentials.versions());
        X509Certificate own = credentials.chain().getFirst();
        LOG.info(
                "{} by the certificate of {}, which is valid until {}",
                String.join(" and ", loaded.versions),
                own.getSubjectX500Principal(),
                own.getNotAfter().toInstant());
        return loaded;
    }

    private void refresh() {
        List<String> now = look();
        boolean settled = now.equals(seen);
        seen = now;
        if (!settled || now.equals(judged)) {
            return;
        }
        judged = now;
        try {
            current = load();
        } catch (IOException | RuntimeException e) {
            LOG.warn("new TLS certificates do not serve, the old ones stay: {}", e.getMessage());
        }
    }

    /** What tells whether the files are other ones, or have been written to. */
    private List<String> look() {
        List<String> states = new ArrayList<>();
        for (CertificateFile file : CertificateFile.values()) {
            states.add(state(file.in(options.certificates())));
        }
        return states;
    }

    private static String state(Path file) {
        try {
            BasicFileAttributes found = Files.readAttributes(file, BasicFileAttributes.class);
            return found.fileKey() + " " + found.size() + " " + found.lastModifiedTime();
        } catch (IOException unreadable) {
            return "not there";
        }
    }

    @Override
    public void close() {
        threads.shutdown();
    }
}
