package pmemblk.nbd.cli;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollDomainDatagramChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells systemd how the service fares, by the datagrams of sd_notify(3); says nothing if it was not
 * systemd that started the process. Used by one thread at a time.
 */
final class ServiceManager {
    private static final Logger LOG = LoggerFactory.getLogger(ServiceManager.class);

    private final @Nullable DomainSocketAddress socket;

    /**
     * Whoever listens at a socket.
     *
     * @param path what the environment has as NOTIFY_SOCKET; a leading @ stands for a name that is
     *     no file's
     */
    ServiceManager(@Nullable String path) {
        this.socket =
                path == null || path.isEmpty()
                        ? null
                        : new DomainSocketAddress(
                                path.startsWith("@") ? "\0" + path.substring(1) : path);
    }

    void ready(String status) {
        tell("READY=1\nSTATUS=" + status);
    }

    void status(String status) {
        tell("STATUS=" + status);
    }

    void stopping() {
        tell("STOPPING=1\nSTATUS=stopping");
    }

    private void tell(String state) {
        if (socket == null) {
            return;
        }
        EventLoopGroup group =
                new MultiThreadIoEventLoopGroup(
                        1,
                        new DefaultThreadFactory("sd-notify", true),
                        EpollIoHandler.newFactory());
        try {
            ChannelFuture connected =
                    new Bootstrap()
                            .group(group)
                            .channel(EpollDomainDatagramChannel.class)
                            .handler(new ChannelInboundHandlerAdapter())
                            .connect(socket)
                            .awaitUninterruptibly();
            ByteBuf datagram = Unpooled.copiedBuffer(state, StandardCharsets.UTF_8);
            ChannelFuture sent = connected.channel().writeAndFlush(datagram).awaitUninterruptibly();
            if (!sent.isSuccess()) {
                LOG.warn("systemd cannot be told: {}", state, sent.cause());
            }
            connected.channel().close().awaitUninterruptibly();
        } finally {
            group.shutdownGracefully(0, 0, TimeUnit.SECONDS);
        }
    }
}
