package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;
import pmemblk.nbd.server.ServerOptions.ClientLimits;

class LimitArgumentsTest {
    @Command
    private static final class Host {
        @CommandLine.Mixin private LimitArguments limits = new LimitArguments();
    }

    private static ClientLimits limits(String line) throws IOException {
        String[] words = line.isEmpty() ? new String[0] : line.split(" ", -1);
        return CommandLine.populateCommand(new Host(), words).limits.limits();
    }

    @Test
    void limitsAreThoseOfTheServerUnlessToldOtherwise() throws IOException {
        assertEquals(ClientLimits.DEFAULT, limits(""));
    }

    @Test
    void eachLimitCanBeSet() throws IOException {
        assertEquals(
                new ClientLimits(
                        Duration.ofMillis(500),
                        Duration.ofMinutes(2),
                        5,
                        16 << 10,
                        7,
                        8,
                        9,
                        64 << 10,
                        1L << 30),
                limits(
                        "--handshake-timeout 500ms --stall-timeout 2m --max-options 5"
                                + " --max-option-bytes 16K --max-handshakes 7"
                                + " --max-connections 8 --max-requests 9"
                                + " --max-connection-bytes 64K --max-bytes 1G"));
    }

    @ParameterizedTest
    @CsvSource({
        "--stall-timeout 10, write a number with ms",
        "--stall-timeout 0s, at least 1ms",
        "--handshake-timeout 10h, write a number with ms",
        "--handshake-timeout 9999999999s, write a number with ms",
        "--max-options 0, is no count",
        "--max-option-bytes x, is no size",
        "--max-handshakes 0, is no count",
        "--max-connections -1, is no count",
        "--max-requests 1000000000, is no count",
        "--max-bytes 0, too small",
    })
    void whatIsNoLimitIsRefused(String line, String reason) {
        ParameterException refused = assertThrows(ParameterException.class, () -> limits(line));

        assertTrue(String.valueOf(refused.getMessage()).contains(reason), refused::toString);
    }

    @Test
    void memoryForLessThanOneRequestIsRefused() {
        IOException refused = assertThrows(IOException.class, () -> limits("--max-bytes 31M"));

        assertTrue(String.valueOf(refused.getMessage()).contains("32M"), refused::toString);
    }
}
