package pmemblk.nbd.server;

import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.unix.UnixChannel;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * What the system knows of the other end of a connection. For the event loop of the channel in
 * question.
 */
final class Peer {
    private static final int TCP_ESTABLISHED = 1;
    private static final long LEAST_ROUND_TRIP_MILLIS = 10;
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
     * nothing is known of it: over TCP it comes in its turn.
     */
    static boolean mayHaveHungUp(Channel channel) {
        return channel instanceof EpollSocketChannel && !channel.config().isAutoRead();
    }

    /** The time in which a client's system that gets a reply for nobody says so, by a reset. */
    static long roundTripMillis(Channel channel) {
        return channel instanceof EpollSocketChannel tcp && tcp.isActive()
                ? LEAST_ROUND_TRIP_MILLIS + 2L * tcp.tcpInfo().rtt() / 1000
                : LEAST_ROUND_TRIP_MILLIS;
    }
}
