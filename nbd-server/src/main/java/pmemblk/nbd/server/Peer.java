package pmemblk.nbd.server;

import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.unix.RawUnixChannelOption;
import io.netty.channel.unix.UnixChannel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What the system knows of the other end of a connection. For the event loop of the channel in
 * question.
 */
final class Peer {
    private static final int TCP_ESTABLISHED = 1;
    private static final long LEAST_ROUND_TRIP_MILLIS = 10;

    /**
     * Less than the window that Linux begins a connection with, 64 KiB if nobody says otherwise.
     */
    private static final long LEAST_WINDOW = 16 << 10;

    /** Up to the field that Netty does not know, which Linux has since 4.1: tcpi_bytes_received. */
    private static final int TCP_BYTES_RECEIVED = 128;

    private static final int TCP_INFO_SIZE = TCP_BYTES_RECEIVED + Long.BYTES;
    private static final RawUnixChannelOption TCP_INFO =
            new RawUnixChannelOption("TCP_INFO", 6, 11, TCP_INFO_SIZE);

    private static final ByteBuffer NOTHING = ByteBuffer.allocateDirect(0);

    private Peer() {}

    /**
     * Whether the client has closed or reset the connection, as far as that has arrived; there may
     * be bytes to receive that it sent before.
     */
    static boolean hasHungUp(Channel channel) {
        if (!channel.isActive()) {
            return true;
        }
        return switch (channel) {
            case EpollSocketChannel tcp -> isNotEstablished(tcp);
            case UnixChannel unix -> refusesBytes(unix);
            default -> false;
        };
    }

    private static boolean isNotEstablished(EpollSocketChannel channel) {
        try {
            return channel.tcpInfo().state() != TCP_ESTABLISHED;
        } catch (ChannelException closed) {
            return true;
        }
    }

    /** A Unix socket whose other end is closed fails even a write of no bytes. */
    private static boolean refusesBytes(UnixChannel channel) {
        try {
            channel.fd().write(NOTHING, 0, 0);
            return false;
        } catch (IOException closed) {
            return true;
        }
    }

    /**
     * Whether the end of the connection may be stuck behind bytes that are not received, so that
     * nothing is known of it: over TCP it comes in its turn. It is not while the system has room
     * for more.
     *
     * @param received bytes that the channel has received from the system in all
     */
    static boolean mayHaveHungUp(Channel channel, long received) {
        return channel instanceof EpollSocketChannel tcp
                && !tcp.config().isAutoRead()
                && bytesArrived(tcp) - received >= LEAST_WINDOW;
    }

    /** Bytes that the system has for this channel or has given to it; more if it does not say. */
    private static long bytesArrived(EpollSocketChannel channel) {
        try {
            ByteBuffer info = channel.config().getOption(TCP_INFO);
            return info == null || info.remaining() < TCP_INFO_SIZE
                    ? Long.MAX_VALUE
                    : info.order(ByteOrder.nativeOrder()).getLong(TCP_BYTES_RECEIVED);
        } catch (ChannelException closed) {
            return Long.MAX_VALUE;
        }
    }

    /** The time in which a client's system that gets a reply for nobody says so, by a reset. */
    static long roundTripMillis(Channel channel) {
        return channel instanceof EpollSocketChannel tcp && tcp.isActive()
                ? LEAST_ROUND_TRIP_MILLIS + 2L * tcp.tcpInfo().rtt() / 1000
                : LEAST_ROUND_TRIP_MILLIS;
    }
}
