package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.util.ResourceLeakDetector;
import io.netty.util.ResourceLeakDetectorFactory;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Collects the buffers that were dropped and not released, of this whole JVM. */
public final class LeakedBuffers {
    private static final Queue<String> LEAKS = new ConcurrentLinkedQueue<>();

    private LeakedBuffers() {}

    /** Named to Netty on the command line of the tests: it takes effect before any buffer is. */
    public static final class Detector<T> extends ResourceLeakDetector<T> {
        public Detector(Class<?> resource, int interval) {
            super(resource, interval);
        }

        /** Netty looks for this one too. */
        public Detector(Class<?> resource, int interval, long ignored) {
            this(resource, interval);
        }

        @Override
        protected boolean needReport() {
            return true;
        }

        @Override
        protected void reportTracedLeak(String type, String records) {
            LEAKS.add(type + records);
        }

        @Override
        protected void reportUntracedLeak(String type) {
            LEAKS.add(type);
        }
    }

    /** What has leaked so far. */
    static Queue<String> find() {
        for (int i = 0; i < 5; i++) {
            System.gc();
            // The detector looks for leaks when it tracks another buffer.
            ByteBuf probe = Unpooled.directBuffer(1);
            probe.release();
        }
        var detector = ResourceLeakDetectorFactory.instance().newResourceLeakDetector(Queue.class);
        if (!(detector instanceof Detector)) {
            throw new IllegalStateException("run with the system properties of the POM");
        }
        return LEAKS;
    }
}
