package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.unix.DomainSocketAddress;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whether a client is known to have gone, with bytes of it unread. */
@Timeout(60)
class PeerTest {
    @TempDir private Path folder;

    private final EventLoopGroup group =
            new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
    private final CompletableFuture<Channel> accepted = new CompletableFuture<>();

    @AfterEach
    void stop() {
        group.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    private ServerBootstrap bootstrap() {
        return new ServerBootstrap()
                .group(group)
                .childOption(ChannelOption.AUTO_READ, false)
                .childHandler(
                        new ChannelInitializer<Channel>() {
                            @Override
                            protected void initChannel(Channel channel) {
                                accepted.complete(channel);
                            }
                        });
    }

    private SocketChannel tcpClient() throws IOException {
        Channel server =
                bootstrap()
                        .channel(EpollServerSocketChannel.class)
                        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                        .syncUninterruptibly()
                        .channel();
        return talking(SocketChannel.open(server.localAddress()));
    }

    private SocketChannel unixClient() throws IOException {
        Path path = folder.resolve("socket");
        bootstrap()
                .channel(EpollServerDomainSocketChannel.class)
                .bind(new DomainSocketAddress(path.toFile()))
                .syncUninterruptibly();
        return talking(SocketChannel.open(UnixDomainSocketAddress.of(path)));
    }

    private static SocketChannel talking(SocketChannel client) throws IOException {
        client.write(ByteBuffer.allocate(1000));
        return client;
    }

    private boolean hasHungUp() throws Exception {
        Channel channel = accepted.get(20, TimeUnit.SECONDS);
        return channel.eventLoop().submit(() -> Peer.hasHungUp(channel)).get();
    }

    /** What was closed on this machine takes a moment to arrive, over TCP. */
    private void awaitHangUp() throws Exception {
        while (!hasHungUp()) {
            Thread.onSpinWait();
        }
    }

    @Test
    void closedTcpConnectionIsKnownBeforeItsBytesAreRead() throws Exception {
        SocketChannel client = tcpClient();
        assertFalse(hasHungUp());
        client.close();
        awaitHangUp();
    }

    @Test
    void resetTcpConnectionIsKnown() throws Exception {
        SocketChannel client = tcpClient();
        assertFalse(hasHungUp());
        client.setOption(StandardSocketOptions.SO_LINGER, 0);
        client.close();
        awaitHangUp();
    }

    @Test
    void closedUnixConnectionIsKnownBeforeItsBytesAreRead() throws Exception {
        SocketChannel client = unixClient();
        assertFalse(hasHungUp());
        client.close();
        assertTrue(hasHungUp());
    }
}
