package pmemblk.nbd.server;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.protocol.HandshakeDecoder;
import pmemblk.nbd.tls.ServerTls;
import pmemblk.nbd.tls.TlsOptions;

/**
 * Serves exports to NBD clients, from {@link #start} to {@link #close}. Thread-safe.
 *
 * <p>The I/O threads are never interrupted: what they do for one client must not end because of
 * another.
 */
public final class NbdServer implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(NbdServer.class);

    /** Bytes of replies that wait for a client to read them before no more requests are taken. */
    private static final WriteBufferWaterMark REPLIES_WAITING =
            new WriteBufferWaterMark(256 << 10, 1 << 20);

    /**
     * A TCP client that is silent for so long is asked for a sign of life, and given up after the
     * same time again: one whose machine is gone would keep its place at the export for ever.
     */
    private static final int SILENT_SECONDS = 60;

    private static final int KEEP_ALIVE_PROBES = 6;

    private static final int BACKLOG = 1024;

    private final ServerOptions options;
    private final Exports exports;
    private final EventLoopGroup group;
    private final Map<String, ServedExport> served = new HashMap<>();
    private final ByteBudget budget;
    private final Connections connections;
    private final @Nullable ServerTls tls;
    private final List<Listener> listeners = new ArrayList<>();
    private boolean closed;

    private NbdServer(ServerOptions options, Exports exports, @Nullable ServerTls tls) {
        this.options = options;
        this.exports = exports;
        this.tls = tls;
        this.group =
                new MultiThreadIoEventLoopGroup(
                        options.eventLoops(),
                        new DefaultThreadFactory("nbd-loop"),
                        EpollIoHandler.newFactory(0, () -> Polling.of(options.pollMicros())));
        for (String name : exports.names()) {
            Export export = Objects.requireNonNull(exports.get(name));
            int maxSessions =
                    options.access().maxConnections().getOrDefault(name, Integer.MAX_VALUE);
            served.put(
                    name,
                    new ServedExport(
                            name, export, options.ioThreads(), maxSessions, options.pollMicros()));
        }
        this.budget = new ByteBudget(options.limits().maxBytes());
        this.connections = new Connections(options.limits());
    }

    /**
     * Starts a server; returns once it accepts connections everywhere.
     *
     * @param exports stay the caller's to close, after the server
     * @throws IOException if it cannot listen somewhere, and then it does so nowhere; or if the
     *     certificates for TLS do not serve
     */
    public static NbdServer start(ServerOptions options, Exports exports) throws IOException {
        TlsOptions tls = options.tls();
        NbdServer server =
                new NbdServer(
                        options,
                        exports,
                        tls == null ? null : ServerTls.start(tls, options.eventLoops()));
        try {
            server.listen();
            return server;
        } catch (IOException | RuntimeException e) {
            server.close();
            throw e;
        }
    }

    private void listen() throws IOException {
        ServerBootstrap bootstrap =
                new ServerBootstrap()
                        .group(group)
                        .option(ChannelOption.SO_BACKLOG, BACKLOG)
                        .option(ChannelOption.SO_REUSEADDR, true)
                        .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, REPLIES_WAITING)
                        .childHandler(
                                new ChannelInitializer<Channel>() {
                                    @Override
                                    protected void initChannel(Channel channel) {
                                        accept(channel);
                                    }
                                });
        for (InetSocketAddress address : options.tcp()) {
            listeners.add(Listener.tcp(bootstrap, address));
        }
        for (Path path : options.unixSockets()) {
            listeners.add(Listener.unix(bootstrap, path));
        }
    }

    private void accept(Channel channel) {
        if (!options.access().admits(channel.remoteAddress())) {
            connections.hangUp(channel, "its network is not allowed");
            return;
        }
        if (!connections.admit(channel)) {
            connections.hangUp(channel, "too many connections");
            return;
        }
        if (channel instanceof EpollSocketChannel tcp) {
            tcp.config()
                    .setTcpNoDelay(true)
                    .setKeepAlive(true)
                    .setTcpKeepIdle(SILENT_SECONDS)
                    .setTcpKeepIntvl(SILENT_SECONDS / KEEP_ALIVE_PROBES)
                    .setTcpKeepCnt(KEEP_ALIVE_PROBES);
        }
        ReceiveBuffer received = new ReceiveBuffer(channel.alloc());
        channel.config().setRecvByteBufAllocator(received);
        channel.pipeline()
                .addLast(new HandshakeDecoder(options.limits().maxOptionBytes()))
                .addLast(
                        new HandshakeHandler(
                                exports,
                                session -> transmission(channel, session, received),
                                connections,
                                new Admission(
                                        options.access(), channel, new TlsUpgrade(tls, received)),
                                options.limits()));
    }

    private CompletableFuture<TransmissionHandler> transmission(
            Channel channel, Session session, ReceiveBuffer received) {
        ServedExport used = Objects.requireNonNull(served.get(session.exportName()));
        return used.fence()
                .thenApply(
                        clear ->
                                new TransmissionHandler(
                                        channel,
                                        session,
                                        received,
                                        used,
                                        budget,
                                        options.limits()));
    }

    /** Where connections are accepted, as bound: TCP addresses first, then Unix sockets. */
    public List<SocketAddress> addresses() {
        return listeners.stream().map(Listener::address).toList();
    }

    /**
     * Stops: accepts no more connections, answers the requests in flight, refuses what else comes,
     * and closes all connections, at the latest after the time that the options give. Harmless if
     * repeated.
     */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (Listener listener : listeners) {
            try {
                listener.close();
            } catch (IOException e) {
                LOG.warn("a socket file stays behind: {}", e.getMessage());
            }
        }
        connections.close();
        long deadline = System.nanoTime() + options.stopTimeout().toNanos();
        connections.open().stream()
                .map(channel -> channel.eventLoop().submit(() -> end(channel)))
                .toList()
                .forEach(Future::awaitUninterruptibly);
        // Until these are through, options are refused.
        for (Channel channel : connections.pastHandshake()) {
            long left = Math.max(0, deadline - System.nanoTime());
            if (!channel.closeFuture().awaitUninterruptibly(left, TimeUnit.NANOSECONDS)) {
                LOG.warn("{} has requests that are not answered", channel.remoteAddress());
            }
        }
        connections.open().forEach(Channel::close);
        // All at once: TLS waits for each client to take its last word.
        connections.open().forEach(channel -> channel.closeFuture().awaitUninterruptibly());
        group.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        served.values().forEach(ServedExport::shutdown);
        if (tls != null) {
            tls.close();
        }
    }

    private static void end(Channel channel) {
        HandshakeHandler handshake = channel.pipeline().get(HandshakeHandler.class);
        TransmissionHandler transmission = channel.pipeline().get(TransmissionHandler.class);
        if (handshake != null) {
            handshake.stop();
        }
        if (transmission != null) {
            transmission.stop();
        }
    }
}
