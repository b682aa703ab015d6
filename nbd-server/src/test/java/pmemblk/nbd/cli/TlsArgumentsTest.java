package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import pmemblk.nbd.tls.TlsOptions;

class TlsArgumentsTest {
    @Command
    private static final class Host {
        @CommandLine.Mixin private TlsArguments tls = new TlsArguments();
    }

    private static @Nullable TlsOptions options(String line) throws IOException {
        String[] words = line.isEmpty() ? new String[0] : line.split(" ", -1);
        return CommandLine.populateCommand(new Host(), words).tls.options(List.of("a", "b"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "--tls off", "--tls off --tls-certificates d --tls-verify-peer"})
    void thereIsNoTlsUnlessAskedFor(String line) throws IOException {
        assertNull(options(line));
    }

    @ParameterizedTest
    @CsvSource({
        "--tls-certificates d, true, false",
        "--tls require --tls-certificates d, true, false",
        "--tls on --tls-certificates d, false, false",
        "--tls on --tls-certificates d --tls-verify-peer, false, true",
    })
    void aFolderOfCertificatesMakesTlsRequiredUnlessToldOtherwise(
            String line, boolean required, boolean verifyPeer) throws IOException {
        assertEquals(new TlsOptions(Path.of("d"), required, verifyPeer, Map.of()), options(line));
    }

    @Test
    void allowedNamesAddUp() throws IOException {
        TlsOptions options =
                options(
                        "--tls-certificates d --tls-verify-peer"
                                + " --tls-allow a=x --tls-allow b=y=z --tls-allow a=y");

        assertEquals(
                new TlsOptions(
                        Path.of("d"),
                        true,
                        true,
                        Map.of("a", Set.of("x", "y"), "b", Set.of("y=z"))),
                options);
    }

    @ParameterizedTest
    @CsvSource({
        "--tls on, needs --tls-certificates",
        "--tls require, needs --tls-certificates",
        "--tls-verify-peer, needs --tls-certificates",
        "--tls-allow a=x, needs --tls-certificates",
        "--tls-certificates d --tls-allow a=x, needs --tls-verify-peer",
        "--tls-certificates d --tls-verify-peer --tls-allow c=x, no export has this name",
    })
    void whatDoesNotGoTogetherIsRefused(String line, String reason) {
        IOException refused = assertThrows(IOException.class, () -> options(line));

        assertTrue(String.valueOf(refused.getMessage()).contains(reason), refused::toString);
    }
}
