package pmemblk.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDirFactory;

/** Where the pools of a test lie, which decides what they go through on every write. */
final class Place {
    private Place() {}

    /** Memory: fast, for tests of what is said rather than of what lasts. */
    static final class Tmpfs implements TempDirFactory {
        @Override
        public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext test)
                throws IOException {
            return Files.createTempDirectory(Path.of("/dev/shm"), "pmemblk-it");
        }
    }

    /** The disk that the build lies on: every step of every write is synced. */
    static final class Disk implements TempDirFactory {
        @Override
        public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext test)
                throws IOException {
            Path parent = Files.createDirectories(Path.of("target/pools").toAbsolutePath());
            return Files.createTempDirectory(parent, "it");
        }
    }
}
