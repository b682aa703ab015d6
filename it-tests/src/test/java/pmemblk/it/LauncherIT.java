package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher, wherever it is called from and whatever is missing. */
class LauncherIT {
    private static final Path SOURCE_TREE = Path.of("..").toAbsolutePath().normalize();

    @TempDir private Path directory = Path.of("");

    @Test
    void worksFromAnyDirectoryThroughASymlink() throws Exception {
        Path link = Files.createSymbolicLink(directory.resolve("link"), ServerProcess.LAUNCHER);

        String output = Command.program(link, "--version").in(directory).succeed().output();

        assertTrue(output.matches("(?s)pmemblk-nbd \\d+\\.\\d+.*Java \\d+.*"), output);
    }

    @Test
    void runsFromAnInstalledTree() throws Exception {
        Path installed = Installation.make(directory);

        Command.program(installed.resolve("bin/pmemblk-nbd"), "--version").in(directory).succeed();
    }

    @Test
    void cleanTreeIsBuiltOnceByTwoLaunchersAtOnce() throws Exception {
        Path clone = copySources();
        Path launcher = clone.resolve("nbd-server/bin/pmemblk-nbd");

        List<String> errors = new ArrayList<>();
        try (ExecutorService both = Executors.newFixedThreadPool(2)) {
            List<Future<Command.Outcome>> outcomes = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                outcomes.add(
                        both.submit(
                                () ->
                                        Command.program(launcher, "--version")
                                                .within(Duration.ofMinutes(8))
                                                .succeed()));
            }
            for (Future<Command.Outcome> outcome : outcomes) {
                errors.add(outcome.get().errors());
            }
        }

        String building = "pmemblk-nbd: building what is missing (this once)\n";
        assertEquals(building, String.join("", errors));
        assertEquals("", Command.program(launcher, "--version").succeed().errors());
    }

    @Test
    void withoutAJdk25SaysHowToGetOne() throws Exception {
        Command.Outcome refused =
                Command.pmemblkNbd("--version")
                        .with("PMEMBLK_NBD_JAVA_HOME", directory.toString())
                        .end(2);

        assertEquals("", refused.output());
        assertEquals(1, refused.errors().lines().count(), refused::toString);
        assertTrue(refused.errors().contains("Java 25"), refused::toString);
    }

    @Test
    void withoutMavenSaysSoInOneLine() throws Exception {
        Path clone = copySources();
        Path programs = Files.createDirectory(directory.resolve("programs"));
        for (String program :
                List.of("bash", "dirname", "readlink", "find", "flock", "mktemp", "grep")) {
            Files.createSymbolicLink(
                    programs.resolve(program), Path.of("/usr/bin").resolve(program));
        }

        Command.Outcome refused =
                Command.of("/bin/bash", clone.resolve("nbd-server/bin/pmemblk-nbd"))
                        .with("PATH", programs.toString())
                        .end(2);

        assertEquals(1, refused.errors().lines().count(), refused::toString);
        assertTrue(refused.errors().contains("Maven is missing"), refused::toString);
    }

    /** What a clean clone has of the sources that the launcher builds. */
    private Path copySources() throws IOException {
        Path clone = Files.createDirectory(directory.resolve("clone"));
        for (String part :
                List.of(
                        ".mvn",
                        "pom.xml",
                        "pool/pom.xml",
                        "pool/src/main",
                        "nbd-server/pom.xml",
                        "nbd-server/src/main",
                        "nbd-server/bin",
                        "it-tests/pom.xml")) {
            Path from = SOURCE_TREE.resolve(part);
            try (Stream<Path> files = Files.walk(from)) {
                for (Path file : files.filter(Files::isRegularFile).toList()) {
                    Path to = clone.resolve(SOURCE_TREE.relativize(file));
                    Files.createDirectories(to.getParent());
                    Files.copy(file, to);
                }
            }
        }
        return clone;
    }
}
