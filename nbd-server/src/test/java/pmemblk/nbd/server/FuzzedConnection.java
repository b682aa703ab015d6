package pmemblk.nbd.server;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.AppenderBase;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.ExtentState;
import pmemblk.nbd.export.ExtentVisitor;
import pmemblk.nbd.protocol.HandshakeDecoder;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

/**
 * A connection with a hostile client, without a socket and all in the calling thread. It fails if
 * the server logs an error, which it does for nothing that a client can cause, or if a closed
 * connection keeps bytes of the budget.
 */
final class FuzzedConnection implements AutoCloseable {
    private static final ClientLimits LIMITS = ClientLimits.DEFAULT;
    private static final ByteBudget BUDGET = new ByteBudget(LIMITS.maxBytes());
    private static final Connections CONNECTIONS = new Connections(LIMITS);
    private static final Exports EXPORTS = exports();
    private static final ServedExport SERVED =
            new ServedExport("disk", new MottledExport(), new NoThreads(), Integer.MAX_VALUE, 0);

    static {
        Logger logger = (Logger) LoggerFactory.getLogger("pmemblk");
        logger.setLevel(Level.WARN);
        Errors errors = new Errors();
        errors.start();
        logger.addAppender(errors);
    }

    private static final AtomicReference<@Nullable ILoggingEvent> ERROR = new AtomicReference<>();

    private final EmbeddedChannel channel;

    FuzzedConnection() {
        channel = new EmbeddedChannel(false, false);
        ReceiveBuffer received = new ReceiveBuffer(channel.alloc());
        CONNECTIONS.admit(channel);
        channel.pipeline()
                .addLast(new HandshakeDecoder(LIMITS.maxOptionBytes()))
                .addLast(
                        new HandshakeHandler(
                                EXPORTS,
                                session ->
                                        SERVED.fence()
                                                .thenApply(
                                                        clear ->
                                                                new TransmissionHandler(
                                                                        channel, session, received,
                                                                        SERVED, BUDGET, LIMITS)),
                                CONNECTIONS,
                                new Admission(
                                        AccessRules.NONE, channel, new TlsUpgrade(null, received)),
                                LIMITS));
        try {
            channel.register();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** Sends bytes, if the server still listens. */
    void send(byte[] bytes, int offset, int length) {
        if (channel.isOpen()) {
            channel.writeInbound(Unpooled.copiedBuffer(bytes, offset, length));
        }
    }

    /** What the server has sent since the last call. */
    ByteBuf receive() {
        ByteBuf all = Unpooled.buffer();
        for (ByteBuf part = channel.readOutbound(); part != null; part = channel.readOutbound()) {
            all.writeBytes(part);
            part.release();
        }
        return all;
    }

    boolean isOpen() {
        return channel.isOpen();
    }

    @Override
    public void close() {
        channel.finishAndReleaseAll();
        ILoggingEvent logged = ERROR.getAndSet(null);
        if (logged != null) {
            IThrowableProxy cause = logged.getThrowableProxy();
            throw new AssertionError(
                    logged.getFormattedMessage()
                            + (cause == null ? "" : ThrowableProxyUtil.asString(cause)));
        }
        if (BUDGET.used() != 0) {
            throw new AssertionError(BUDGET.used() + " bytes are kept");
        }
    }

    private static Exports exports() {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new MottledExport());
        return new Exports(exports);
    }

    private static final class Errors extends AppenderBase<ILoggingEvent> {
        @Override
        protected void append(ILoggingEvent event) {
            if (event.getLevel() == Level.ERROR) {
                ERROR.compareAndSet(null, event);
            }
        }
    }

    /** The caller's thread. */
    private static final class NoThreads extends ThreadPoolExecutor {
        NoThreads() {
            super(1, 1, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>());
        }

        @Override
        public void execute(Runnable task) {
            task.run();
        }
    }

    /** Zeroes, with some of each state. */
    private static final class MottledExport implements Export {
        private static final int BLOCK = 4096;
        private static final ExportInfo INFO =
                new ExportInfo(100 * BLOCK + 512, BLOCK, BLOCK, false, "mottled");

        @Override
        public ExportInfo info() {
            return INFO;
        }

        @Override
        public @Nullable String failureReason() {
            return null;
        }

        @Override
        public boolean writeMayBlock(long length, boolean fua) {
            return fua;
        }

        @Override
        public void read(long offset, ByteBuffer target) {
            target.position(target.limit());
        }

        @Override
        public boolean readNow(long offset, ByteBuffer target) {
            read(offset, target);
            return offset % 3 > 0;
        }

        @Override
        public void extents(long offset, long length, ExtentVisitor visitor) {
            boolean more = true;
            for (long at = offset; more && at < offset + length; ) {
                long end = Math.min(offset + length, (at / BLOCK + 1) * BLOCK);
                ExtentState state =
                        switch ((int) (at / BLOCK) % 7) {
                            case 0, 1, 4 -> ExtentState.DATA;
                            case 6 -> ExtentState.ERROR;
                            default -> ExtentState.ZERO;
                        };
                more = visitor.extent(state, end - at);
                at = end;
            }
        }

        @Override
        public void write(long offset, ByteBuffer source) {}

        @Override
        public void zero(long offset, long length) {}

        @Override
        public void trim(long offset, long length) {}

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }
}
