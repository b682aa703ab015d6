package pmemblk.it;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.opentest4j.AssertionFailedError;

/** Many clients that each send one long WRITE, all of them at once. For one thread. */
final class WriteFlood implements AutoCloseable {
    /** The most that a WRITE may carry. */
    private static final int LENGTH = 32 << 20;

    private static final int HEADER_SIZE = 28;
    private static final int REPLY_SIZE = 16;
    private static final int HANDSHAKE_REPLY_SIZE = 18 + 20 + 12 + 20;

    private final Selector selector = Selector.open();
    private final ByteBuffer request = ByteBuffer.allocateDirect(HEADER_SIZE + LENGTH);
    private final List<Duration> times = new ArrayList<>();
    private long startNanos;

    /** What is looked at meanwhile. */
    interface Sampling {
        void run() throws IOException;
    }

    private static final class Client {
        final ByteBuffer unsent;
        final ByteBuffer reply = ByteBuffer.allocate(REPLY_SIZE);

        Client(ByteBuffer unsent) {
            this.unsent = unsent;
        }
    }

    WriteFlood() throws IOException {
        byte[] data = new byte[LENGTH];
        new SplittableRandom(1).nextBytes(data);
        request.putInt(0x25609513).putInt(1).putLong(7).putLong(0).putInt(LENGTH).put(data).flip();
    }

    /** Opens a connection, up to the transmission phase of the default export. */
    void add(InetSocketAddress server) throws IOException {
        SocketChannel channel = SocketChannel.open();
        channel.setOption(StandardSocketOptions.SO_SNDBUF, 64 << 10);
        channel.connect(server);
        ByteBuffer handshake = ByteBuffer.allocate(64);
        handshake.putInt(3).putLong(0x49484156454f5054L).putInt(7).putInt(6);
        channel.write(handshake.put(new byte[6]).flip());
        ByteBuffer answer = ByteBuffer.allocate(HANDSHAKE_REPLY_SIZE);
        while (answer.hasRemaining()) {
            if (channel.read(answer) < 0) {
                throw new IOException("hung up on in the handshake");
            }
        }
        channel.configureBlocking(false);
        channel.register(
                selector,
                SelectionKey.OP_WRITE | SelectionKey.OP_READ,
                new Client(request.duplicate()));
    }

    /**
     * Lets them all write, until they have their replies.
     *
     * @param between run about ten times a second meanwhile
     * @return when each got its reply, from the start on, in order
     */
    List<Duration> run(Duration limit, Sampling between) throws IOException {
        startNanos = System.nanoTime();
        int count = selector.keys().size();
        long nextAction = startNanos;
        while (times.size() < count) {
            selector.select(this::goOn, 100);
            long now = System.nanoTime();
            if (now - startNanos > limit.toNanos()) {
                throw new AssertionFailedError(
                        "%d of %d writes are done after %s".formatted(times.size(), count, limit));
            }
            if (now >= nextAction) {
                between.run();
                nextAction = now + Duration.ofMillis(100).toNanos();
            }
        }
        return times;
    }

    private void goOn(SelectionKey key) {
        Client client = (Client) key.attachment();
        SocketChannel channel = (SocketChannel) key.channel();
        try {
            if (key.isWritable() && channel.write(client.unsent) >= 0) {
                if (!client.unsent.hasRemaining()) {
                    key.interestOps(SelectionKey.OP_READ);
                }
            }
            if (key.isReadable()) {
                int count = channel.read(client.reply);
                if (count < 0 || !client.reply.hasRemaining()) {
                    end(client, channel);
                }
            }
        } catch (IOException e) {
            throw new AssertionError("a client was cut off", e);
        }
    }

    private void end(Client client, SocketChannel channel) throws IOException {
        times.add(Duration.ofNanos(System.nanoTime() - startNanos));
        channel.close();
        if (client.reply.hasRemaining() || client.reply.getInt(4) != 0) {
            throw new AssertionFailedError(
                    "a write was answered with %d bytes, error %d"
                            .formatted(client.reply.position(), client.reply.getInt(4)));
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
