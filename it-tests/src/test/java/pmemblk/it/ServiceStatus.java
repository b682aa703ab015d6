package pmemblk.it;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollDomainDatagramChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.unix.DomainDatagramPacket;
import io.netty.channel.unix.DomainSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.opentest4j.AssertionFailedError;

/** Stands in for systemd: hears what a server says of itself. */
final class ServiceStatus implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final EventLoopGroup group =
            new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
    private final BlockingQueue<String> heard = new LinkedBlockingQueue<>();
    private final Path socket;

    /** Listens at a path that nothing has yet. */
    ServiceStatus(Path socket) {
        this.socket = socket;
        new Bootstrap()
                .group(group)
                .channel(EpollDomainDatagramChannel.class)
                .handler(
                        new SimpleChannelInboundHandler<DomainDatagramPacket>() {
                            @Override
                            protected void channelRead0(
                                    ChannelHandlerContext ctx, DomainDatagramPacket packet) {
                                heard.add(packet.content().toString(StandardCharsets.UTF_8));
                            }
                        })
                .bind(new DomainSocketAddress(socket.toString()))
                .syncUninterruptibly();
    }

    /** The variable by which a server knows whom to tell. */
    String variable() {
        return "NOTIFY_SOCKET=" + socket;
    }

    /** Waits until this was said. */
    void await(String part) throws InterruptedException {
        Instant deadline = Instant.now().plus(LIMIT);
        List<String> all = new ArrayList<>();
        while (all.isEmpty() || !all.getLast().contains(part)) {
            long left = Duration.between(Instant.now(), deadline).toMillis();
            String next = heard.poll(left, TimeUnit.MILLISECONDS);
            if (next == null) {
                throw new AssertionFailedError("systemd did not hear " + part + ": " + all);
            }
            all.add(next);
        }
    }

    @Override
    public void close() {
        group.shutdownGracefully(0, 0, TimeUnit.SECONDS).awaitUninterruptibly();
    }
}
