package pmemblk.nbd.server;

import io.netty.channel.Channel;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The connections of a server, counted against their limits. Where there are too many, the one that
 * has been longest in its handshake makes room: who means well is through with it soon.
 * Thread-safe.
 */
final class Connections {
    private static final Logger LOG = LoggerFactory.getLogger(Connections.class);

    private final ServerOptions.ClientLimits limits;

    /** Guarded by this object's monitor, as the next is. */
    private final Set<Channel> open = new LinkedHashSet<>();

    /** Those that have not finished their handshake, the oldest first. */
    private final Set<Channel> handshakes = new LinkedHashSet<>();

    private final LogThrottle throttle = new LogThrottle(System::nanoTime);

    private boolean closed;

    Connections(ServerOptions.ClientLimits limits) {
        this.limits = limits;
    }

    /**
     * Admits a connection, which begins its handshake; false if there are too many, or none is any
     * more.
     */
    boolean admit(Channel channel) {
        if (!makeRoomAndAdd(channel)) {
            return false;
        }
        channel.closeFuture().addListener(closed -> remove(channel));
        return true;
    }

    private synchronized boolean makeRoomAndAdd(Channel channel) {
        if (closed) {
            return false;
        }
        if (handshakes.size() >= limits.maxHandshakes() || open.size() >= limits.maxConnections()) {
            if (handshakes.isEmpty()) {
                return false;
            }
            Channel oldest = handshakes.iterator().next();
            remove(oldest);
            hangUp(oldest, "others begin their handshake");
        }
        open.add(channel);
        handshakes.add(channel);
        return true;
    }

    /** Hangs up on a client that does not come to use an export, and logs why, not every time. */
    void hangUp(Channel channel, String reason) {
        long number = throttle.numberIfDue();
        if (number > 0) {
            LOG.info(
                    "hanging up on {}: {}{}",
                    channel.remoteAddress(),
                    reason,
                    LogThrottle.numbered("client", number));
        } else {
            LOG.debug("hanging up on {}: {}", channel.remoteAddress(), reason);
        }
        channel.close();
    }

    private synchronized void remove(Channel channel) {
        open.remove(channel);
        handshakes.remove(channel);
    }

    /** An admitted connection has finished its handshake, one way or the other. */
    synchronized void handshakeDone(Channel channel) {
        handshakes.remove(channel);
    }

    /** Admits none from now on: one may have been accepted just before nobody listened any more. */
    synchronized void close() {
        closed = true;
    }

    /** Those that are open now. */
    synchronized List<Channel> open() {
        return List.copyOf(open);
    }

    /** Those that are open now and have finished their handshake. */
    synchronized List<Channel> pastHandshake() {
        return open.stream().filter(channel -> !handshakes.contains(channel)).toList();
    }
}
