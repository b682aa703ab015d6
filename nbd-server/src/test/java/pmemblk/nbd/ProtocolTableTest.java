package pmemblk.nbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.OptionError;

/** The table in doc/protocol.md says nothing of which there is no test. */
class ProtocolTableTest {
    private static final Path DOCUMENT = Path.of("doc/protocol.md");
    private static final Pattern TEST_NAME = Pattern.compile("`(\\w+)\\.(\\w+)`");
    private static final List<Path> SOURCES =
            List.of(Path.of("src/test/java"), Path.of("../it-tests/src/test/java"));

    private static List<String[]> rows() throws IOException {
        return Files.readAllLines(DOCUMENT).stream()
                .filter(line -> line.startsWith("| ") && !line.startsWith("| ---"))
                .map(line -> line.substring(1).split("\\|"))
                .filter(cells -> !cells[cells.length - 1].strip().equals("Test"))
                .toList();
    }

    @Test
    void everyRowThatClaimsSomethingNamesATestThatThereIs() throws IOException {
        List<String> missing = new ArrayList<>();
        for (String[] cells : rows()) {
            String last = cells[cells.length - 1];
            Matcher name = TEST_NAME.matcher(last);
            boolean claims = !cells[1].strip().equals("·");
            boolean found = name.find();
            if (claims && !(found && isTest(name.group(1), name.group(2)))) {
                missing.add(cells[0].strip() + ": " + last.strip());
            }
        }
        assertEquals(List.of(), missing);
    }

    @Test
    void everyCommandAndErrorHasARow() throws IOException {
        String document = Files.readString(DOCUMENT);
        Stream<String> names =
                Stream.of(
                                Arrays.stream(Command.values()).map(c -> "NBD_CMD_" + c),
                                Arrays.stream(NbdError.values()).map(e -> "NBD_" + e),
                                Arrays.stream(OptionError.values()).map(e -> "NBD_REP_ERR_" + e))
                        .flatMap(name -> name);

        assertEquals(List.of(), names.filter(n -> !document.contains("`" + n + "`")).toList());
        assertTrue(rows().size() > 60);
    }

    private static boolean isTest(String className, String method) throws IOException {
        for (Path root : SOURCES) {
            try (Stream<Path> files = Files.walk(root)) {
                List<Path> sources =
                        files.filter(file -> file.endsWith(className + ".java")).toList();
                for (Path source : sources) {
                    if (Files.readString(source).contains(" void " + method + "(")) {
                        return true;
                    }
                }
            }
        }
        return false;
    }
}
