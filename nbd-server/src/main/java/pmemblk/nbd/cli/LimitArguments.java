package pmemblk.nbd.cli;

import java.io.IOException;
import java.time.Duration;
import picocli.CommandLine.Option;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/** The options of {@code serve} that bound what clients may take up. */
final class LimitArguments {
    /** What the longest name of an export takes, and some information requests or queries. */
    private static final int MIN_OPTION_BYTES = 8 << 10;

    private static final int MAX_OPTION_BYTES = 16 << 20;

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
            names = "--max-options",
            paramLabel = "N",
            converter = Count.class,
            description = "Options of one handshake, beside one for each export [32].")
    private int options = ClientLimits.DEFAULT.maxOptions();

    @Option(
            names = "--max-option-bytes",
            paramLabel = "SIZE",
            converter = ByteSize.Converter.class,
            description = "Bytes of an option, from 8K to 16M [64K].")
    private long optionBytes = ClientLimits.DEFAULT.maxOptionBytes();

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
        if (optionBytes < MIN_OPTION_BYTES || optionBytes > MAX_OPTION_BYTES) {
            throw new IOException(
                    "--max-option-bytes %d is out of bounds; give 8K to 16M"
                            .formatted(optionBytes));
        }
        return ClientLimits.DEFAULT
                .withTimeouts(handshakeTimeout, stallTimeout)
                .withOptions(options, (int) optionBytes)
                .withConnections(handshakes, connections)
                .withRequests(requests)
                .withBytes(connectionBytes, bytes);
    }
}
