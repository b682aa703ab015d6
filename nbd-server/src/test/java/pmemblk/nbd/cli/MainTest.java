package pmemblk.nbd.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
    private record Outcome(int status, String output, String errors) {}

    private static Outcome run(String commandLine) {
        PrintStream output = System.out;
        PrintStream errors = System.err;
        ByteArrayOutputStream outputBytes = new ByteArrayOutputStream();
        ByteArrayOutputStream errorBytes = new ByteArrayOutputStream();
        System.setOut(new PrintStream(outputBytes, true, UTF_8));
        System.setErr(new PrintStream(errorBytes, true, UTF_8));
        try {
            String[] words = commandLine.isEmpty() ? new String[0] : commandLine.split(" ", -1);
            int status = Main.run(words);
            return new Outcome(status, outputBytes.toString(UTF_8), errorBytes.toString(UTF_8));
        } finally {
            System.setOut(output);
            System.setErr(errors);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "serve",
                "create",
                "info",
                "check",
                "grow",
                "block",
                "block read",
                "block write",
                "block zero",
                "block error",
                "tls-init"
            })
    void everyCommandHasHelpWithAnExample(String command) {
        Outcome outcome = run(command + " --help");

        assertEquals(0, outcome.status);
        assertEquals("", outcome.errors);
        assertTrue(outcome.output.startsWith("Usage: pmemblk-nbd " + command), outcome.output);
        assertTrue(outcome.output.contains("Example:\n  "), outcome.output);
        assertTrue(outcome.output.lines().allMatch(line -> line.length() <= 80), outcome.output);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "                                     | pmemblk-nbd        | Missing required subcommand",
                "bogus                                | pmemblk-nbd        | 'bogus'",
                "serve                                | pmemblk-nbd serve  | [NAME=]POOL",
                "serve --listen 1 a.pool              | pmemblk-nbd serve  | '1' is no HOST:PORT",
                "serve --block-size 512 a.pool        | pmemblk-nbd serve  | --create",
                "serve --create 1X a.pool             | pmemblk-nbd serve  | '1X' is no size",
                "serve =a.pool                        | pmemblk-nbd serve  | NAME=POOL",
                "serve --tls maybe a.pool             | pmemblk-nbd serve  | 'maybe'",
                "serve --tls-allow a a.pool           | pmemblk-nbd serve  | EXPORT=NAME",
                "serve --tls-allow =b a.pool          | pmemblk-nbd serve  | EXPORT=NAME",
                "serve --tls-allow a= a.pool          | pmemblk-nbd serve  | EXPORT=NAME",
                "tls-init                             | pmemblk-nbd tls-init | DIR",
                "tls-init --host a..b tls             | pmemblk-nbd tls-init | 'a..b' is no name",
                "create a.pool                        | pmemblk-nbd create | --size",
                "create --size 1G                     | pmemblk-nbd create | POOL",
                "create --size 1G a.pool b.pool       | pmemblk-nbd create | 'b.pool'",
                "create --size 1G --mode 999 a.pool   | pmemblk-nbd create | '999' is no mode",
                "create --size 1G --block-size 3G a   | pmemblk-nbd create | '3G' is too large",
                "check                                | pmemblk-nbd check  | POOL",
                "check --apply a.pool                 | pmemblk-nbd check  | --repair",
                "check --fix a.pool                   | pmemblk-nbd check  | '--fix'",
                "grow a.pool                          | pmemblk-nbd grow   | --size",
                "grow --size 1X a.pool                | pmemblk-nbd grow   | '1X' is no size",
                "block                                | pmemblk-nbd block  | Missing required subcommand",
                "block read a.pool                    | pmemblk-nbd block read | NUMBER",
                "block read a.pool one                | pmemblk-nbd block read | 'one'",
            })
    void badUsageIsOneLineAndStatus2(String commandLine, String command, String part) {
        Outcome outcome = run(commandLine == null ? "" : commandLine);

        assertEquals(2, outcome.status);
        assertEquals("", outcome.output);
        assertEquals(1, outcome.errors.lines().count(), outcome.errors);
        assertTrue(outcome.errors.startsWith(command + ": "), outcome.errors);
        assertTrue(outcome.errors.contains(part), outcome.errors);
        assertTrue(outcome.errors.endsWith("; see " + command + " --help\n"), outcome.errors);
    }

    @Test
    void versionNamesTheProgramAndItsJava() {
        Outcome outcome = run("--version");

        assertEquals(0, outcome.status);
        assertTrue(outcome.output.startsWith("pmemblk-nbd "), outcome.output);
        assertTrue(outcome.output.contains("Java 2"), outcome.output);
    }
}
