package pmemblk.nbd.server;

import io.netty.channel.Channel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Finds out whether the client of a connection is gone, where its end may be stuck behind bytes
 * that are not received. Belongs to the connection's event loop.
 */
final class EndCheck {
    private final TransmissionHandler connection;
    private final Channel channel;
    private final Replies replies;
    private final long flushCountBefore;
    private final CompletableFuture<Boolean> answer;

    private EndCheck(
            TransmissionHandler connection,
            Channel channel,
            Replies replies,
            CompletableFuture<Boolean> answer) {
        this.connection = connection;
        this.channel = channel;
        this.replies = replies;
        this.flushCountBefore = replies.flushCount();
        this.answer = answer;
    }

    /**
     * Checks a connection, and ends it if its client is gone.
     *
     * @param repliesDue whether there is a request in flight, whose reply will tell
     * @param answer gets false if the client is not gone, as far as anybody knows
     */
    static void begin(
            TransmissionHandler connection,
            Channel channel,
            Replies replies,
            boolean repliesDue,
            CompletableFuture<Boolean> answer) {
        // Where replies are unread, closing would have reset the connection; and where none is due,
        // there is nothing to find out by.
        boolean knows = replies.isFull() || !repliesDue || !connection.mayHaveHungUp();
        if (connection.isDying(answer)) {
            return;
        }
        if (knows) {
            answer.complete(false);
        } else {
            new EndCheck(connection, channel, replies, answer).lookAgainLater();
        }
    }

    /** The end is known once a reply has been sent, and the client's system had time. */
    private void lookAgainLater() {
        boolean sent = replies.flushCount() > flushCountBefore;
        long delayMillis = sent ? Peer.roundTripMillis(channel) : 1;
        channel.eventLoop().schedule(() -> look(sent), delayMillis, TimeUnit.MILLISECONDS);
    }

    private void look(boolean sent) {
        if (connection.isDying(answer)) {
            return;
        }
        if (sent) {
            answer.complete(false);
        } else {
            lookAgainLater();
        }
    }
}
