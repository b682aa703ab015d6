package pmemblk.it;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How long a start takes, and the cache that shortens it. */
class StartIT {
    private static final int STARTS = 5;

    /** The JVM's default, which asks it for no cache. */
    private static final String WITHOUT_CACHE = "-Xshare:auto";

    /**
     * Ten times what is to hold on a quiet machine, where this one has two slow processors that
     * others use, too. What does not depend on that is the ratio.
     */
    private static final Duration LIMIT = Duration.ofSeconds(4);

    private static final Duration LIMIT_WITHOUT_CACHE = Duration.ofSeconds(8);

    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    @Test
    void serverStartsInTimeAndMuchFasterWithItsCache() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        Duration with = Duration.ofDays(1);
        Duration without = Duration.ofDays(1);

        for (int i = 0; i < STARTS; i++) {
            with = shorter(with, start(pool, ""));
            without = shorter(without, start(pool, WITHOUT_CACHE));
        }

        System.out.printf("first reply after %s, without cache after %s%n", with, without);
        assertTrue(
                with.multipliedBy(4).compareTo(without.multipliedBy(3)) < 0, with + " " + without);
        assertTrue(with.compareTo(LIMIT) < 0, with::toString);
        assertTrue(without.compareTo(LIMIT_WITHOUT_CACHE) < 0, without::toString);
    }

    private static Duration shorter(Duration one, Duration other) {
        return one.compareTo(other) < 0 ? one : other;
    }

    /** The time from the start of the launcher to the first reply. */
    private static Duration start(Path pool, String javaOptions) throws Exception {
        long start = System.nanoTime();
        try (ServerProcess server = ServerProcess.startWith(javaOptions, "", pool);
                NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            connection.read(0, 4096);
            return Duration.ofNanos(System.nanoTime() - start);
        }
    }

    @Test
    void classesOfTheServerComeFromTheCache() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        Path log = directory.resolve("log");

        start(pool, "-Xlog:class+load:file=" + log);

        List<String> ours =
                Files.readAllLines(log).stream()
                        .filter(line -> line.contains(" pmemblk."))
                        .toList();
        List<String> notCached =
                ours.stream().filter(line -> !line.contains("shared objects file")).toList();
        // A few implement an interface of picocli, which is compiled for a Java of old.
        assertTrue(ours.size() > 200, () -> ours.size() + " classes");
        assertTrue(notCached.size() < 40, notCached::toString);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "-XX:+UseParallelGC",
                "-XX:+UseG1GC",
                "-XX:+UseZGC",
                "-XX:+UseCompactObjectHeaders",
                "-XX:-UseCompressedOops",
                "-XX:AOTMode=off",
                "-Xshare:off",
                "-Xmx8m",
                "--add-modules=jdk.jfr"
            })
    void optionsThatTheCacheIsNotMadeForWork(String javaOptions) throws Exception {
        requireSilence(
                Command.pmemblkNbd("--version")
                        .with("PMEMBLK_NBD_JAVA_OPTS", javaOptions)
                        .succeed());
    }

    private static void requireSilence(Command.Outcome outcome) {
        assertTrue(outcome.output().matches("pmemblk-nbd .*\nJava .*\n"), outcome::toString);
        assertEquals("", outcome.errors());
    }

    @Test
    void cacheOfAnotherTimeOrJavaDoesNotMatter() throws Exception {
        Path installed = Installation.make(directory);
        Path jar = installed.resolve("lib/pmemblk-nbd-server.jar");
        assertFalse(usesCache(installed));

        Command.program(installed.resolve("bin/make-aot-cache"), "").succeed();
        assertTrue(usesCache(installed));

        overwrite(cacheOf(installed), "(25.", "(24.");
        assertFalse(usesCache(installed));

        Files.write(cacheOf(installed), List.of("no cache"));
        assertFalse(usesCache(installed));

        Command.program(installed.resolve("bin/make-aot-cache"), "").succeed();
        Files.setLastModifiedTime(jar, FileTime.from(Instant.now().minusSeconds(3600)));
        assertFalse(usesCache(installed));

        Files.setLastModifiedTime(jar, FileTime.from(Instant.now()));
        assertFalse(usesCache(installed));
    }

    private boolean usesCache(Path installed) throws Exception {
        Path log = directory.resolve("log");
        requireSilence(
                Command.program(installed.resolve("bin/pmemblk-nbd"), "--version")
                        .with("PMEMBLK_NBD_JAVA_OPTS", "-Xlog:class+load:file=" + log)
                        .succeed());
        return Files.readString(log).contains("pmemblk.nbd.cli.Main source: shared objects file");
    }

    private static Path cacheOf(Path installed) throws IOException {
        try (DirectoryStream<Path> files =
                Files.newDirectoryStream(installed.resolve("lib"), "aot-*")) {
            List<Path> caches = new ArrayList<>();
            files.forEach(caches::add);
            assertEquals(1, caches.size());
            return caches.getFirst();
        }
    }

    /** Puts another text in the place of the first one such in a file. */
    private static void overwrite(Path file, String text, String other) throws IOException {
        int place = new String(Files.readAllBytes(file), ISO_8859_1).indexOf(text);
        assertTrue(place >= 0);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(other.getBytes(ISO_8859_1)), place);
        }
    }
}
