package pmemblk.nbd.server;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.tls.TlsOptions;

/**
 * How a server is run.
 *
 * @param tcp where TCP connections are accepted; port 0 is a free one
 * @param unixSockets where connections on Unix sockets are accepted
 * @param eventLoops threads that serve connections
 * @param ioThreads threads of each export for requests that may take long, of which a connection
 *     uses a quarter at most
 * @param pollMicros how long an event loop looks for the next event after one before it sleeps; 0
 *     if it sleeps at once
 * @param stopTimeout for requests in flight when the server stops
 * @param limits what clients may take up
 * @param access who may connect
 * @param tls how TLS is offered; null if it is not
 */
public record ServerOptions(
        List<InetSocketAddress> tcp,
        List<Path> unixSockets,
        int eventLoops,
        int ioThreads,
        int pollMicros,
        Duration stopTimeout,
        ClientLimits limits,
        AccessRules access,
        @Nullable TlsOptions tls) {

    /** The defaults for all but the addresses. */
    public ServerOptions(List<InetSocketAddress> tcp, List<Path> unixSockets) {
        this(
                tcp,
                unixSockets,
                Runtime.getRuntime().availableProcessors(),
                64,
                50,
                Duration.ofSeconds(10),
                ClientLimits.DEFAULT,
                AccessRules.NONE,
                null);
    }

    /** With so many threads that serve connections, and so many of each export. */
    public ServerOptions withThreads(int newEventLoops, int newIoThreads) {
        return new ServerOptions(
                tcp,
                unixSockets,
                newEventLoops,
                newIoThreads,
                pollMicros,
                stopTimeout,
                limits,
                access,
                tls);
    }

    public ServerOptions withPolling(int newPollMicros) {
        return new ServerOptions(
                tcp,
                unixSockets,
                eventLoops,
                ioThreads,
                newPollMicros,
                stopTimeout,
                limits,
                access,
                tls);
    }

    public ServerOptions withStopTimeout(Duration newTimeout) {
        return new ServerOptions(
                tcp,
                unixSockets,
                eventLoops,
                ioThreads,
                pollMicros,
                newTimeout,
                limits,
                access,
                tls);
    }

    public ServerOptions withLimits(ClientLimits newLimits) {
        return new ServerOptions(
                tcp,
                unixSockets,
                eventLoops,
                ioThreads,
                pollMicros,
                stopTimeout,
                newLimits,
                access,
                tls);
    }

    public ServerOptions withAccess(AccessRules newAccess) {
        return new ServerOptions(
                tcp,
                unixSockets,
                eventLoops,
                ioThreads,
                pollMicros,
                stopTimeout,
                limits,
                newAccess,
                tls);
    }

    public ServerOptions withTls(@Nullable TlsOptions newTls) {
        return new ServerOptions(
                tcp,
                unixSockets,
                eventLoops,
                ioThreads,
                pollMicros,
                stopTimeout,
                limits,
                access,
                newTls);
    }

    /**
     * What clients may take up. All connections together have no more requests in flight than the
     * product of {@code maxConnections} and {@code maxRequestsInFlight}.
     *
     * @param handshakeTimeout for the whole handshake of a connection
     * @param stallTimeout how long a client may stand still with a request half sent or replies
     *     unread
     * @param maxOptions options of one handshake, beside one for each export: a client may ask
     *     about them all
     * @param maxOptionBytes bytes of an option's data
     * @param maxHandshakes connections that have not finished their handshake
     * @param maxConnections connections in all
     * @param maxRequestsInFlight requests of one connection that are being carried out
     * @param maxConnectionBytes bytes of requests and replies of one connection that are held in
     *     memory, or of one request if that carries more
     * @param maxBytes the same of all connections; at least as many as one request may carry
     */
    public record ClientLimits(
            Duration handshakeTimeout,
            Duration stallTimeout,
            int maxOptions,
            int maxOptionBytes,
            int maxHandshakes,
            int maxConnections,
            int maxRequestsInFlight,
            long maxConnectionBytes,
            long maxBytes) {

        public static final ClientLimits DEFAULT =
                new ClientLimits(
                        Duration.ofSeconds(10),
                        Duration.ofSeconds(60),
                        32,
                        64 << 10,
                        128,
                        1024,
                        64,
                        Limits.PAYLOAD,
                        256L << 20);

        public ClientLimits {
            if (maxBytes < Limits.PAYLOAD) {
                throw new IllegalArgumentException(
                        "%d bytes do not hold a request of %d".formatted(maxBytes, Limits.PAYLOAD));
            }
        }

        /** With other times to finish the handshake, and to stand still. */
        public ClientLimits withTimeouts(Duration handshake, Duration stall) {
            return new ClientLimits(
                    handshake,
                    stall,
                    maxOptions,
                    maxOptionBytes,
                    maxHandshakes,
                    maxConnections,
                    maxRequestsInFlight,
                    maxConnectionBytes,
                    maxBytes);
        }

        /** With so many options in a handshake, of so many bytes each. */
        public ClientLimits withOptions(int newMaxOptions, int newMaxOptionBytes) {
            return new ClientLimits(
                    handshakeTimeout,
                    stallTimeout,
                    newMaxOptions,
                    newMaxOptionBytes,
                    maxHandshakes,
                    maxConnections,
                    maxRequestsInFlight,
                    maxConnectionBytes,
                    maxBytes);
        }

        /** With so many unfinished handshakes, and so many connections. */
        public ClientLimits withConnections(int newMaxHandshakes, int newMaxConnections) {
            return new ClientLimits(
                    handshakeTimeout,
                    stallTimeout,
                    maxOptions,
                    maxOptionBytes,
                    newMaxHandshakes,
                    newMaxConnections,
                    maxRequestsInFlight,
                    maxConnectionBytes,
                    maxBytes);
        }

        /** With so many requests in flight on each connection. */
        public ClientLimits withRequests(int newMaxRequestsInFlight) {
            return new ClientLimits(
                    handshakeTimeout,
                    stallTimeout,
                    maxOptions,
                    maxOptionBytes,
                    maxHandshakes,
                    maxConnections,
                    newMaxRequestsInFlight,
                    maxConnectionBytes,
                    maxBytes);
        }

        /** With so many bytes in flight on each connection, and on all. */
        public ClientLimits withBytes(long newMaxConnectionBytes, long newMaxBytes) {
            return new ClientLimits(
                    handshakeTimeout,
                    stallTimeout,
                    maxOptions,
                    maxOptionBytes,
                    maxHandshakes,
                    maxConnections,
                    maxRequestsInFlight,
                    newMaxConnectionBytes,
                    newMaxBytes);
        }
    }
}
