package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.util.ResourceLeakDetector;
import io.netty.util.ResourceLeakDetectorFactory;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Collects the buffers that were dropped and not released, of this whole JVM. */
final class LeakedBuffers {
    private static final Queue<String> LEAKS = new ConcurrentLinkedQueue<>();

    private LeakedBuffers() {}

    private static final class Detector<T> extends ResourceLeakDetector<T> {
        Detector(Class<?> resource, int interval) {
            super(resource, interval);
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

    /** Watches all buffers from now on; before any is allocated. */
    @SuppressWarnings("deprecation") // the factory has no other method to override
    static void watch() {
        ResourceLeakDetector.setLevel(ResourceLeakDetector.Level.PARANOID);
        ResourceLeakDetectorFactory.setResourceLeakDetectorFactory(
                new ResourceLeakDetectorFactory() {
                    @Override
                    public <T> ResourceLeakDetector<T> newResourceLeakDetector(
                            Class<T> resource, int samplingInterval, long maxActive) {
                        return new Detector<>(resource, samplingInterval);
                    }
                });
    }

    /** What has leaked so far. */
    static Queue<String> find() {
        for (int i = 0; i < 5; i++) {
            System.gc();
            // The detector looks for leaks when it tracks another buffer.
            ByteBuf probe = Unpooled.directBuffer(1);
            probe.release();
        }
        return LEAKS;
    }
}
