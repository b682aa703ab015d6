package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.Progress;

/**
 * A progress bar on standard error while something takes its time, if that is a terminal; gone when
 * it is done. Thread-safe.
 */
final class ShownProgress implements Progress, AutoCloseable {
    private static final long MIB = 1 << 20;

    private final String task;
    private final boolean shown = isTerminal();

    /** Made once there is something to show; guarded by this object's monitor. */
    private @Nullable ProgressBar bar;

    /**
     * @param task in a word, before the bar
     */
    ShownProgress(String task) {
        this.task = task;
    }

    private static boolean isTerminal() {
        try {
            String device = Path.of("/proc/self/fd/2").toRealPath().toString();
            return device.startsWith("/dev/pts/")
                    || device.startsWith("/dev/tty")
                    || device.equals("/dev/console");
        } catch (IOException notADevice) {
            // A pipe, or a file that has no name any more.
            return false;
        }
    }

    @Override
    public synchronized void advanced(long byteCount, long totalByteCount) {
        if (!shown) {
            return;
        }
        if (bar == null) {
            bar =
                    new ProgressBarBuilder()
                            .setTaskName(task)
                            .setStyle(ProgressBarStyle.ASCII)
                            .setInitialMax(totalByteCount)
                            .setUnit(" MiB", MIB)
                            .clearDisplayOnFinish()
                            .build();
        }
        bar.stepBy(byteCount);
    }

    @Override
    public synchronized void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
