package pmemblk.nbd.server;

import io.netty.channel.Channel;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** The connections of a server, counted against their limits. Thread-safe. */
final class Connections {
    private final ServerOptions.ClientLimits limits;
    private final Set<Channel> open = ConcurrentHashMap.newKeySet();
    private final AtomicInteger handshakes = new AtomicInteger();

    Connections(ServerOptions.ClientLimits limits) {
        this.limits = limits;
    }

    /** Admits a connection, which begins its handshake; false if there are too many. */
    boolean admit(Channel channel) {
        if (handshakes.incrementAndGet() > limits.maxHandshakes()
                || open.size() >= limits.maxConnections()) {
            handshakes.decrementAndGet();
            return false;
        }
        open.add(channel);
        channel.closeFuture().addListener(closed -> open.remove(channel));
        return true;
    }

    /** An admitted connection has finished its handshake, one way or the other. */
    void handshakeDone() {
        handshakes.decrementAndGet();
    }

    Set<Channel> open() {
        return open;
    }
}
