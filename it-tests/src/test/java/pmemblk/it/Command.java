package pmemblk.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.opentest4j.AssertionFailedError;

/** A program to run to its end, within a deadline, with what it prints captured. */
final class Command {
    private final List<String> words;
    private final Map<String, String> environment = new HashMap<>();
    private Duration limit = Duration.ofMinutes(2);
    private Path directory = Path.of("").toAbsolutePath();
    private byte[] input = {};

    private Command(List<String> words) {
        this.words = words;
    }

    /** The words of {@code line}, which spaces separate, and each of {@code more} as one word. */
    static Command of(String line, Object... more) {
        return new Command(words(line, more));
    }

    /** A program by its path, wherever that is, and its arguments. */
    static Command program(Path program, String line, Object... more) {
        List<String> words = words(line, more);
        words.add(0, program.toString());
        return new Command(words);
    }

    static Command pmemblkNbd(String line, Object... more) {
        return program(ServerProcess.LAUNCHER, line, more);
    }

    static List<String> words(String line, Object... more) {
        List<String> words = new ArrayList<>();
        if (!line.isEmpty()) {
            words.addAll(List.of(line.split(" ", -1)));
        }
        for (Object word : more) {
            words.add(word.toString());
        }
        return words;
    }

    /** With more words. */
    Command and(Object... more) {
        words.addAll(words("", more));
        return this;
    }

    Command within(Duration newLimit) {
        limit = newLimit;
        return this;
    }

    Command in(Path newDirectory) {
        directory = newDirectory;
        return this;
    }

    Command with(String variable, String value) {
        environment.put(variable, value);
        return this;
    }

    Command input(byte[] bytes) {
        input = bytes;
        return this;
    }

    /** Runs it and expects exit status 0. */
    Outcome succeed() throws IOException, InterruptedException {
        return end(0);
    }

    /** Runs it and expects that exit status. */
    Outcome end(int status) throws IOException, InterruptedException {
        Outcome outcome = run();
        if (outcome.status != status) {
            throw new AssertionFailedError("exit status is not " + status + ": " + outcome);
        }
        return outcome;
    }

    /** Runs it, whatever its exit status. */
    Outcome run() throws IOException, InterruptedException {
        Path work = Files.createTempDirectory("pmemblk-it");
        Path in = Files.write(work.resolve("in"), input);
        Path out = work.resolve("out");
        Path err = work.resolve("err");
        try {
            ProcessBuilder builder =
                    new ProcessBuilder(words)
                            .directory(directory.toFile())
                            .redirectInput(in.toFile())
                            .redirectOutput(out.toFile())
                            .redirectError(err.toFile());
            builder.environment().putAll(environment);
            Process process = start(builder);
            boolean ended = process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS);
            if (!ended) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly().waitFor();
            }
            Outcome outcome =
                    new Outcome(
                            words,
                            process.exitValue(),
                            ByteBuffer.wrap(Files.readAllBytes(out)),
                            Files.readString(err));
            if (!ended) {
                throw new AssertionFailedError("not done after " + limit + ": " + outcome);
            }
            return outcome;
        } finally {
            for (Path file : List.of(in, out, err, work)) {
                Files.deleteIfExists(file);
            }
        }
    }

    private static Process start(ProcessBuilder builder) {
        try {
            return builder.start();
        } catch (IOException e) {
            throw new AssertionFailedError(
                    "cannot start "
                            + builder.command()
                            + "; it-tests/run-all-tests installs what"
                            + " the tests need",
                    e);
        }
    }

    /** What a program left behind. */
    record Outcome(List<String> words, int status, ByteBuffer bytes, String errors) {
        String output() {
            return UTF_8.decode(bytes.duplicate()).toString();
        }

        /** One line on standard error, beside the log, that names the command and says why. */
        void assertOneLine(String command, String reason) {
            String line = errors.replaceAll("(?m)^[-\\d]+ [:\\d]+\\.\\d+ INFO .*\\R", "");
            assertEquals("", output());
            assertEquals(1, line.lines().count(), this::toString);
            assertTrue(line.startsWith("pmemblk-nbd " + command + ": "), this::toString);
            assertTrue(line.contains(reason), this::toString);
        }

        @Override
        public String toString() {
            return "%s\nexit status: %d\nstandard output:\n%s\nstandard error:\n%s"
                    .formatted(String.join(" ", words), status, output(), errors);
        }
    }
}
