package pmemblk.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The program as it is installed, without the cache that shortens its start. */
final class Installation {
    private Installation() {}

    /** Installs it below a directory; returns where. */
    static Path make(Path directory) throws IOException {
        Path installed = directory.resolve("usr/lib/pmemblk-nbd");
        Path bin = ServerProcess.LAUNCHER.resolveSibling("../bin").normalize();
        Path target = bin.resolveSibling("target");
        copyAll(bin, installed.resolve("bin"));
        copyAll(target.resolve("lib"), installed.resolve("lib"));
        String jar = "pmemblk-nbd-server.jar";
        Files.copy(target.resolve(jar), installed.resolve("lib").resolve(jar));
        return installed;
    }

    private static void copyAll(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
    }
}
