package pmemblk.nbd.server;

import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.ChannelInputShutdownReadComplete;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The end of a connection: sends the replies that are queued, says that there will be no more, and
 * waits for the client to close.
 *
 * <p>A TCP socket that is closed with unread bytes in it resets the connection, and replies on
 * their way would be lost. So the output ends first, and input is thrown away until it ends too.
 */
final class EndingHandler extends ChannelInboundHandlerAdapter {
    private static final Logger LOG = LoggerFactory.getLogger(EndingHandler.class);

    /** A client that has read all its replies and does not close needs no more than this. */
    private static final long PATIENCE_MILLIS = 1000;

    private final ReceiveBuffer received;

    EndingHandler(ReceiveBuffer received) {
        this.received = received;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
        Channel channel = ctx.channel();
        ChannelFuture sent = channel.writeAndFlush(Unpooled.EMPTY_BUFFER);
        SslHandler tls = channel.pipeline().get(SslHandler.class);
        ChannelFuture told = tls == null ? sent : tls.closeOutbound();
        told.addListener(done -> endOutput(channel));
    }

    private static void endOutput(Channel channel) {
        if (channel instanceof DuplexChannel duplex && !duplex.isInputShutdown()) {
            duplex.shutdownOutput();
            channel.config().setAutoRead(true);
            var deadline =
                    channel.eventLoop()
                            .schedule(
                                    () -> channel.close(), PATIENCE_MILLIS, TimeUnit.MILLISECONDS);
            channel.closeFuture().addListener(closed -> deadline.cancel(false));
        } else {
            channel.close();
        }
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        ReferenceCountUtil.release(message);
        received.release();
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
        received.release();
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext ctx) {
        received.release();
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (event instanceof ChannelInputShutdownReadComplete) {
            ctx.close();
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        LOG.debug("{} is gone: {}", ctx.channel().remoteAddress(), cause.toString());
        ctx.close();
    }
}
