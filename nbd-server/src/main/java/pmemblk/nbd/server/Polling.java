package pmemblk.nbd.server;

import io.netty.channel.DefaultSelectStrategyFactory;
import io.netty.channel.SelectStrategy;
import io.netty.util.IntSupplier;
import java.util.function.LongSupplier;

/**
 * Has an event loop look for events a little while longer before it sleeps: a request that follows
 * the last reply closely is then taken without waking a thread, which costs more than the request.
 *
 * <p>It looks no longer than that after the last event, so a server without active clients sleeps.
 * Each look offers the processor to other threads. Where one takes it for long, or where nothing
 * comes in time, there is nothing to win: the loop then sleeps at once for the next events, for
 * more of them each time.
 *
 * <p>Belongs to one event loop.
 */
final class Polling implements SelectStrategy {
    /** A look takes a microsecond or two; after this long another thread has had its turn. */
    private static final long CONTENDED_NANOS = 15_000;

    private static final int LONGEST_BACK_OFF = 256;

    private final long nanos;
    private final LongSupplier clock;
    private boolean looking;
    private long lookUntil;
    private long lastLook;

    /** How many events looking was given up for last time, and how many of these are left. */
    private int backOff;

    private int sleepsLeft;

    Polling(long nanos, LongSupplier clock) {
        this.nanos = nanos;
        this.clock = clock;
    }

    /**
     * A strategy for one event loop.
     *
     * @param micros how long it looks for the next event; 0 if it sleeps at once
     */
    static SelectStrategy of(int micros) {
        return micros == 0
                ? DefaultSelectStrategyFactory.INSTANCE.newSelectStrategy()
                : new Polling(micros * 1000L, System::nanoTime);
    }

    @Override
    public int calculateStrategy(IntSupplier selectNow, boolean hasTasks) throws Exception {
        int ready = selectNow.get();
        if (ready > 0 && looking) {
            backOff = 0;
        }
        if (ready > 0 || hasTasks) {
            looking = false;
            return ready;
        }
        if (sleepsLeft > 0) {
            sleepsLeft--;
            return SELECT;
        }
        return look(clock.getAsLong()) ? CONTINUE : SELECT;
    }

    private boolean look(long now) {
        if (!looking) {
            looking = true;
            lookUntil = now + nanos;
        } else if (now > lookUntil || now - lastLook > CONTENDED_NANOS) {
            looking = false;
            backOff = Math.min(2 * backOff + 1, LONGEST_BACK_OFF);
            sleepsLeft = backOff;
            return false;
        }
        lastLook = now;
        offerProcessor();
        return true;
    }

    @SuppressWarnings("ThreadPriorityCheck") // nothing relies on it
    private static void offerProcessor() {
        Thread.yield();
    }
}
