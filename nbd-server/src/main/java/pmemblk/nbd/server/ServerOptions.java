package pmemblk.nbd.server;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.tls.TlsOptions;

/**
 * How a server is run.
 *
 * @param tcp where TCP connections are accepted; port 0 is a free one
 * @param unixSockets where connections on Unix sockets are accepted
 * @param eventLoops threads that serve connections
 * @param ioThreads threads of each export for requests that may take long, of which a connection
 *     uses a quarter at most
 * @param stopTimeout for requests in flight when the server stops
 * @param limits what clients may take up
 * @param tls how TLS is offered; null if it is not
 */
public record ServerOptions(
        List<InetSocketAddress> tcp,
        List<Path> unixSockets,
        int eventLoops,
        int ioThreads,
        Duration stopTimeout,
        ClientLimits limits,
        @Nullable TlsOptions tls) {

    /** The defaults for all but the addresses. */
    public ServerOptions(List<InetSocketAddress> tcp, List<Path> unixSockets) {
        this(
                tcp,
                unixSockets,
                Runtime.getRuntime().availableProcessors(),
                64,
                Duration.ofSeconds(10),
                ClientLimits.DEFAULT,
                null);
    }

    public ServerOptions withLimits(ClientLimits newLimits) {
        return new ServerOptions(
                tcp, unixSockets, eventLoops, ioThreads, stopTimeout, newLimits, tls);
    }

    public ServerOptions withTls(@Nullable TlsOptions newTls) {
        return new ServerOptions(
                tcp, unixSockets, eventLoops, ioThreads, stopTimeout, limits, newTls);
    }

    /**
     * What clients may take up.
     *
     * @param handshakeTimeout for the whole handshake of a connection
     * @param maxHandshakes connections that have not finished their handshake
     * @param maxConnections connections in all
     * @param maxRequestsInFlight requests of one connection that are being carried out
     * @param maxBytesInFlight bytes of requests and replies that are held in memory, of all
     *     connections; at least as many as one request may carry
     */
    public record ClientLimits(
            Duration handshakeTimeout,
            int maxHandshakes,
            int maxConnections,
            int maxRequestsInFlight,
            long maxBytesInFlight) {

        public static final ClientLimits DEFAULT =
                new ClientLimits(Duration.ofSeconds(10), 128, 1024, 64, 256L << 20);
    }
}
