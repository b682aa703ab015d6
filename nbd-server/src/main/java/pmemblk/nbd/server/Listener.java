package pmemblk.nbd.server;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelOption;
import io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.socket.SocketProtocolFamily;
import io.netty.channel.unix.DomainSocketAddress;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * An address where connections are accepted.
 *
 * @param socketFile the file of a Unix socket, which is removed with it
 */
record Listener(Channel channel, @Nullable Path socketFile) {
    /** The bits of a file's mode that say what it is, and what they are for a socket. */
    private static final int FILE_TYPE = 0170000;

    private static final int SOCKET = 0140000;

    /** See unix(7). */
    private static final int MAX_UNIX_PATH = 107;

    /**
     * Bytes of replies that a Unix socket takes before its client reads them, as far as the system
     * allows, which doubles it. Linux wakes who waits for room once three quarters are read
     * (unix_writable in net/unix/af_unix.c): with its default of 208 KiB the client then has little
     * left to read while this side wakes up.
     */
    private static final int UNIX_SEND_BUFFER = 512 << 10;

    /** The address as bound: with the port that was found free. */
    SocketAddress address() {
        return channel.localAddress();
    }

    static Listener tcp(ServerBootstrap bootstrap, InetSocketAddress address) throws IOException {
        if (address.isUnresolved()) {
            throw new IOException(
                    "cannot listen on %s: the name is not known; use an address of this machine"
                            .formatted(address.getHostString()));
        }
        // A socket for IPv6 would take 0.0.0.0 for all addresses, those of IPv6, too.
        SocketProtocolFamily family =
                address.getAddress() instanceof Inet4Address
                        ? SocketProtocolFamily.INET
                        : SocketProtocolFamily.INET6;
        ServerBootstrap tcp =
                bootstrap.clone().channelFactory(() -> new EpollServerSocketChannel(family));
        return new Listener(bind(tcp, address), null);
    }

    static Listener unix(ServerBootstrap bootstrap, Path path) throws IOException {
        removeIfStale(path);
        int length = path.toString().getBytes(StandardCharsets.UTF_8).length;
        if (length > MAX_UNIX_PATH) {
            throw new IOException(
                    "cannot listen on %s: a socket's path has %d bytes at most, this one %d; use a shorter one"
                            .formatted(path, MAX_UNIX_PATH, length));
        }
        ServerBootstrap unix =
                bootstrap
                        .clone()
                        .channel(EpollServerDomainSocketChannel.class)
                        .childOption(ChannelOption.SO_SNDBUF, UNIX_SEND_BUFFER);
        return new Listener(bind(unix, new DomainSocketAddress(path.toFile())), path);
    }

    private static Channel bind(ServerBootstrap bootstrap, SocketAddress address)
            throws IOException {
        var bound = bootstrap.bind(address).awaitUninterruptibly();
        Throwable cause = bound.cause();
        if (cause != null) {
            // Netty gives the call and the error's number, too.
            String reason = String.valueOf(cause.getMessage()).replaceFirst("^bind.*\\): ", "");
            throw new IOException(
                    "cannot listen on %s: %s; %s"
                            .formatted(shown(address), reason, remedy(address, reason)),
                    cause);
        }
        return bound.channel();
    }

    private static String remedy(SocketAddress address, String reason) {
        if (!(address instanceof InetSocketAddress)) {
            return "use a path in a folder that is there and that you can write to";
        }
        if (reason.contains("assign")) {
            return "use an address of this machine, which 'ip address' shows";
        }
        if (reason.contains("denied")) {
            return "use a port from 1024 on, or run as root";
        }
        return "use another port, or 0 for a free one";
    }

    private static String shown(SocketAddress address) {
        return address instanceof InetSocketAddress tcp
                ? tcp.getHostString() + ":" + tcp.getPort()
                : address.toString();
    }

    /** A socket file that nobody listens on was left by a server that was killed. */
    private static void removeIfStale(Path path) throws IOException {
        if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        int mode = (Integer) Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS);
        // Asked this way round: a device or a pipe would refuse a connection as a dead socket does.
        if ((mode & FILE_TYPE) != SOCKET) {
            throw new IOException(
                    "cannot listen on %s: it exists and is no socket; use another path"
                            .formatted(path));
        }
        try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            probe.connect(UnixDomainSocketAddress.of(path));
        } catch (IOException nobodyListens) {
            Files.delete(path);
            return;
        }
        throw new IOException(
                "cannot listen on %s: another server does; stop it, or use another path"
                        .formatted(path));
    }

    /** Accepts no more connections. */
    void close() throws IOException {
        channel.close().awaitUninterruptibly();
        if (socketFile != null) {
            Files.deleteIfExists(socketFile);
        }
    }
}
