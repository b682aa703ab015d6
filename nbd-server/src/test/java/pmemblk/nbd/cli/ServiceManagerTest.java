package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

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
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServiceManagerTest {
    @TempDir private Path folder;

    private final EventLoopGroup group =
            new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
    private final BlockingQueue<String> heard = new LinkedBlockingQueue<>();

    @AfterEach
    void stopListening() {
        group.shutdownGracefully(0, 0, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    private void listen(String path) {
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
                .bind(new DomainSocketAddress(path))
                .syncUninterruptibly();
    }

    private @Nullable String next() throws InterruptedException {
        return heard.poll(10, TimeUnit.SECONDS);
    }

    @Test
    void systemdHearsOfStartStatusAndStop() throws InterruptedException {
        String path = folder.resolve("notify").toString();
        listen(path);
        ServiceManager manager = new ServiceManager(path);

        manager.ready("serving 2 exports");
        manager.status("export 'disk' takes no changes");
        manager.stopping();

        assertEquals("READY=1\nSTATUS=serving 2 exports", next());
        assertEquals("STATUS=export 'disk' takes no changes", next());
        assertEquals("STOPPING=1\nSTATUS=stopping", next());
    }

    @Test
    void aNameThatIsNoFilesIsReachedToo() throws InterruptedException {
        String name = "pmemblk-nbd-test-" + ProcessHandle.current().pid();
        listen("\0" + name);

        new ServiceManager("@" + name).status("all is well");

        assertEquals("STATUS=all is well", next());
    }

    @Test
    void nobodyToTellIsNoFailure() {
        new ServiceManager(null).ready("serving");
        new ServiceManager(folder.resolve("absent").toString()).ready("serving");
    }
}
