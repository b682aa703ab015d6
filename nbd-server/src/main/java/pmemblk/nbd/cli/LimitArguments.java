package pmemblk.nbd.cli;

import java.io.IOException;
import java.time.Duration;
import picocli.CommandLine.Option;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/** The options of {@code serve} that bound what clients may take up. */
final class LimitArguments {
    @Option(
            names = "--max-connections",
            paramLabel = "N",
            converter = Count.class,
            description = "Connections in all [1024].")
    private int connections = ClientLimits.DEFAULT.maxConnections();

    @Option(
            names = "--max-handshakes",
            paramLabel = "N",
            converter = Count.class,
            description = {
                "Connections that have not chosen an export yet; the oldest makes room for a new"
                        + " one [128]."
            })
    private int handshakes = ClientLimits.DEFAULT.maxHandshakes();

    @Option(
            names = "--handshake-timeout",
            paramLabel = "TIME",
            converter = TimeSpan.class,
            description = "For the whole handshake of a connection [10s].")
    private Duration handshakeTimeout = ClientLimits.DEFAULT.handshakeTimeout();

    @Option(
            names = "--stall-timeout",
            paramLabel = "TIME",
            converter = TimeSpan.class,
            description = {
                "Hang up on clients that stand still for so long with a request half sent or"
                        + " replies unread [60s]."
            })
    private Duration stallTimeout = ClientLimits.DEFAULT.stallTimeout();

    @Option(
            names = "--max-requests",
            paramLabel = "N",
            converter = Count.class,
            description = "Requests of one connection that are carried out at a time [64].")
    private int requests = ClientLimits.DEFAULT.maxRequestsInFlight();

    @Option(
            names = "--max-connection-bytes",
            paramLabel = "SIZE",
            converter = ByteSize.Converter.class,
            description = "Memory for the requests and replies of one connection [32M].")
    private long connectionBytes = ClientLimits.DEFAULT.maxConnectionBytes();

    @Option(
            names = "--max-bytes",
            paramLabel = "SIZE",
            converter = ByteSize.Converter.class,
            description = {
                "The same for all connections; beyond 512M give the JVM more than its 1 GiB of"
                        + " direct memory, too [256M]."
            })
    private long bytes = ClientLimits.DEFAULT.maxBytes();

    /**
     * What they come to.
     *
     * @throws IOException if they do not go together
     */
    ClientLimits limits() throws IOException {
        if (bytes < Limits.PAYLOAD) {
            throw new IOException(
                    "--max-bytes %d does not hold the longest request; give 32M at least"
                            .formatted(bytes));
        }
        return ClientLimits.DEFAULT
                .withTimeouts(handshakeTimeout, stallTimeout)
                .withConnections(handshakes, connections)
                .withRequests(requests)
                .withBytes(connectionBytes, bytes);
    }
}
