package pmemblk.nbd.server;

import io.netty.channel.Channel;
import io.netty.channel.ChannelOutboundBuffer;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends a connection whose client stands still with a request half sent or replies unread: what
 * these hold is needed by others. While others do wait for it, standing still is not to get one
 * request or reply through in all that time, a byte now and then notwithstanding.
 *
 * <p>Looks now and then, where Netty's handlers for timeouts would act on each write. Belongs to
 * the connection's event loop.
 */
final class StallWatch implements Runnable {
    private static final Logger LOG = LoggerFactory.getLogger(StallWatch.class);

    private static final int LOOKS_PER_LIMIT = 8;

    private final TransmissionHandler connection;
    private final Channel channel;
    private final ByteBudget budget;
    private final long limitNanos;

    private Seen before = Seen.NOTHING;
    private long movedAtNanos = System.nanoTime();
    private long finishedAtNanos = movedAtNanos;

    /** How far a connection has come; grows, but for the two in the middle, which only change. */
    record Seen(long received, long unread, long sentOfReply, long taken, long replied) {
        static final Seen NOTHING = new Seen(0, 0, 0, 0, 0);

        boolean hasFinishedMoreThan(Seen earlier) {
            return taken != earlier.taken || replied != earlier.replied;
        }
    }

    private StallWatch(
            TransmissionHandler connection, Channel channel, ByteBudget budget, Duration limit) {
        this.connection = connection;
        this.channel = channel;
        this.budget = budget;
        this.limitNanos = limit.toNanos();
    }

    /**
     * Watches a connection until it closes.
     *
     * @param limit how long it may stand still; it is noticed an eighth later
     */
    static void begin(
            TransmissionHandler connection, Channel channel, ByteBudget budget, Duration limit) {
        long period = Math.max(1, limit.toMillis() / LOOKS_PER_LIMIT);
        var watch =
                channel.eventLoop()
                        .scheduleWithFixedDelay(
                                new StallWatch(connection, channel, budget, limit),
                                period,
                                period,
                                TimeUnit.MILLISECONDS);
        channel.closeFuture().addListener(closed -> watch.cancel(false));
    }

    @Override
    public void run() {
        long now = System.nanoTime();
        ChannelOutboundBuffer replies = channel.unsafe().outboundBuffer();
        long unread = replies == null ? 0 : replies.totalPendingWriteBytes();
        long sent = replies == null ? 0 : replies.currentProgress();
        Seen seen = connection.seen(unread, sent);
        boolean waitsForClient = unread > 0 || connection.isHalfSent();
        if (!waitsForClient || !seen.equals(before)) {
            movedAtNanos = now;
        }
        if (!waitsForClient || seen.hasFinishedMoreThan(before)) {
            finishedAtNanos = now;
        }
        before = seen;
        long since = budget.isShort() ? finishedAtNanos : movedAtNanos;
        if (now - since >= limitNanos) {
            LOG.debug("hanging up on {}: it stands still", channel.remoteAddress());
            channel.close();
        }
    }
}
