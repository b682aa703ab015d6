package pmemblk.it;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Connections that begin a handshake and do not end it. Some say nothing more, others a byte a
 * second of a handshake that would be right. For one thread.
 */
final class IdleHandshakes implements AutoCloseable {
    private static final long SECOND = Duration.ofSeconds(1).toNanos();

    private final Selector selector = Selector.open();
    private final ByteBuffer received = ByteBuffer.allocate(4096);
    private final List<Duration> lifetimes = new ArrayList<>();

    /** One of them; {@code unsent} is empty if it says nothing more. */
    private static final class Idler {
        final long openedAtNanos = System.nanoTime();
        final ByteBuffer unsent;
        long spokenAtNanos = openedAtNanos;

        Idler(ByteBuffer unsent) {
            this.unsent = unsent;
        }
    }

    IdleHandshakes() throws IOException {}

    /** Opens one that says no more than half of its flags. */
    void addSilent(InetSocketAddress server) throws IOException {
        open(server, ByteBuffer.allocate(2), ByteBuffer.allocate(0));
    }

    /** Opens one that says a byte a second. */
    void addSlow(InetSocketAddress server) throws IOException {
        ByteArrayOutputStream handshake = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(handshake);
        out.writeInt(3);
        out.writeLong(0x49484156454f5054L);
        out.writeInt(99);
        out.writeInt(1000);
        out.write(new byte[1000]);
        open(server, ByteBuffer.allocate(0), ByteBuffer.wrap(handshake.toByteArray()));
    }

    private void open(InetSocketAddress server, ByteBuffer first, ByteBuffer unsent)
            throws IOException {
        SocketChannel channel = SocketChannel.open(server);
        channel.configureBlocking(false);
        channel.register(selector, SelectionKey.OP_READ, new Idler(unsent));
        channel.write(first);
    }

    /** How many the server has not hung up on. */
    int open() {
        return (int) selector.keys().stream().filter(SelectionKey::isValid).count();
    }

    /** How long those had lived that the server has hung up on. */
    List<Duration> lifetimes() {
        return lifetimes;
    }

    /** Goes on for so long. */
    void run(Duration time) throws IOException {
        long end = System.nanoTime() + time.toNanos();
        while (System.nanoTime() < end) {
            selector.select(
                    key -> {
                        if (isHungUp(key)) {
                            end(key);
                        }
                    },
                    10);
            for (SelectionKey key : List.copyOf(selector.keys())) {
                speak(key);
            }
        }
    }

    private boolean isHungUp(SelectionKey key) {
        try {
            return ((SocketChannel) key.channel()).read(received.clear()) < 0;
        } catch (IOException reset) {
            return true;
        }
    }

    private void end(SelectionKey key) {
        Idler idler = (Idler) key.attachment();
        lifetimes.add(Duration.ofNanos(System.nanoTime() - idler.openedAtNanos));
        try {
            key.channel().close();
        } catch (IOException e) {
            throw new AssertionError("a socket does not close", e);
        }
    }

    private static void speak(SelectionKey key) {
        Idler idler = (Idler) key.attachment();
        boolean due = System.nanoTime() - idler.spokenAtNanos >= SECOND;
        if (!key.isValid() || !due || !idler.unsent.hasRemaining()) {
            return;
        }
        idler.spokenAtNanos += SECOND;
        ByteBuffer next = idler.unsent.slice(idler.unsent.position(), 1);
        idler.unsent.get();
        try {
            ((SocketChannel) key.channel()).write(next);
        } catch (IOException hungUp) {
            // The next select says so.
            return;
        }
    }

    @Override
    public void close() throws IOException {
        for (SelectionKey key : selector.keys()) {
            key.channel().close();
        }
        selector.close();
    }
}
