package pmemblk.it;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.opentest4j.AssertionFailedError;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Programs of the tests that mount filesystems, or need a network: each runs in namespaces of its
 * own, so that nothing stays mounted and no process stays behind, however it ends.
 */
final class OwnMounts {
    private static final Logger LOG = LoggerFactory.getLogger(OwnMounts.class);
    private static final Duration LIMIT = Duration.ofMinutes(10);

    /** What such a program does. */
    interface Body {
        void run() throws IOException, InterruptedException;
    }

    private OwnMounts() {}

    /** Runs the {@code main} of a class of the tests; returns what it printed. */
    static String run(Class<?> program, Object... arguments)
            throws IOException, InterruptedException {
        return runBy("unshare --mount", program, arguments);
    }

    /** Does what {@link #run} does in a network of its own, which is empty. */
    static String runOffline(Class<?> program, Object... arguments)
            throws IOException, InterruptedException {
        return runBy("unshare --mount --net", program, arguments);
    }

    private static String runBy(String unshare, Class<?> program, Object... arguments)
            throws IOException, InterruptedException {
        List<Object> words = new ArrayList<>();
        words.add(Path.of(System.getProperty("java.home"), "bin", "java"));
        words.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx1g", "-ea", "-cp"));
        words.add(System.getProperty("java.class.path"));
        words.add(program.getName());
        words.addAll(List.of(arguments));
        return Command.of(unshare, words.toArray()).within(LIMIT).succeed().output();
    }

    /** Ends this process with the result of {@code body}, whatever threads still run in it. */
    static void exitAfter(Body body) {
        int status = 1;
        try {
            body.run();
            status = 0;
        } catch (AssertionFailedError | IOException | InterruptedException e) {
            LOG.error("failed", e);
        } finally {
            Runtime.getRuntime().halt(status);
        }
    }
}
