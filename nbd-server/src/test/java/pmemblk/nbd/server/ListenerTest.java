package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollIoHandler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class ListenerTest {
    @TempDir private Path folder;

    private EventLoopGroup loops;
    private ServerBootstrap bootstrap;

    @BeforeEach
    void prepare() {
        loops = new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
        bootstrap =
                new ServerBootstrap().group(loops).childHandler(new ChannelInboundHandlerAdapter());
    }

    @AfterEach
    void end() {
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    @Test
    void pipeInPlaceOfTheSocketIsLeftAlone() throws Exception {
        Path pipe = folder.resolve("pipe");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());

        IOException refused = assertThrows(IOException.class, () -> Listener.unix(bootstrap, pipe));

        assertTrue(String.valueOf(refused.getMessage()).contains("is no socket"));
        assertTrue(Files.exists(pipe));
    }
}
