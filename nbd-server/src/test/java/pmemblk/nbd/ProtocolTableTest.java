package pmemblk.nbd;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The table in doc/protocol.md says nothing of which there is no test. */
class ProtocolTableTest {
    private static final Path DOCUMENT = Path.of("doc/protocol.md");
    private static final Pattern TEST_NAME = Pattern.compile("`(\\w+)\\.(\\w+)`");
    private static final List<Path> SOURCES =
            List.of(Path.of("src/test/java"), Path.of("../it-tests/src/test/java"));

    /** All that the protocol's document has, and its branch on extended headers. */
    private static final List<String> NAMES =
            List.of(
                    "FLAG_FIXED_NEWSTYLE FLAG_NO_ZEROES FLAG_C_FIXED_NEWSTYLE FLAG_C_NO_ZEROES",
                    "OPT_EXPORT_NAME OPT_ABORT OPT_LIST OPT_PEEK_EXPORT OPT_STARTTLS OPT_INFO OPT_GO",
                    "OPT_STRUCTURED_REPLY OPT_LIST_META_CONTEXT OPT_SET_META_CONTEXT",
                    "OPT_EXTENDED_HEADERS INFO_EXPORT INFO_NAME INFO_DESCRIPTION INFO_BLOCK_SIZE",
                    "REP_ACK REP_SERVER REP_INFO REP_META_CONTEXT REP_ERR_UNSUP REP_ERR_POLICY",
                    "REP_ERR_INVALID REP_ERR_PLATFORM REP_ERR_TLS_REQD REP_ERR_UNKNOWN",
                    "REP_ERR_SHUTDOWN REP_ERR_BLOCK_SIZE_REQD REP_ERR_TOO_BIG",
                    "REP_ERR_EXT_HEADER_REQD FLAG_HAS_FLAGS FLAG_READ_ONLY FLAG_SEND_FLUSH",
                    "FLAG_SEND_FUA FLAG_ROTATIONAL FLAG_SEND_TRIM FLAG_SEND_WRITE_ZEROES",
                    "FLAG_SEND_DF FLAG_CAN_MULTI_CONN FLAG_SEND_RESIZE FLAG_SEND_CACHE",
                    "FLAG_SEND_FAST_ZERO FLAG_BLOCK_STATUS_PAYLOAD CMD_READ CMD_WRITE CMD_DISC",
                    "CMD_FLUSH CMD_TRIM CMD_CACHE CMD_WRITE_ZEROES CMD_BLOCK_STATUS CMD_RESIZE",
                    "CMD_FLAG_FUA CMD_FLAG_NO_HOLE CMD_FLAG_DF CMD_FLAG_REQ_ONE",
                    "CMD_FLAG_FAST_ZERO CMD_FLAG_PAYLOAD_LEN REPLY_FLAG_DONE REPLY_TYPE_NONE",
                    "REPLY_TYPE_OFFSET_DATA REPLY_TYPE_OFFSET_HOLE REPLY_TYPE_BLOCK_STATUS",
                    "REPLY_TYPE_BLOCK_STATUS_EXT REPLY_TYPE_ERROR REPLY_TYPE_ERROR_OFFSET",
                    "STATE_HOLE STATE_ZERO EPERM EIO ENOMEM EINVAL ENOSPC EOVERFLOW ENOTSUP",
                    "ESHUTDOWN");

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
    void everyRowSaysWhatEachServerDoes() throws IOException {
        List<String> silent =
                rows().stream()
                        .filter(
                                cells ->
                                        IntStream.range(1, cells.length - 1)
                                                .anyMatch(i -> cells[i].isBlank()))
                        .map(cells -> cells[0].strip())
                        .toList();

        assertEquals(List.of(), silent);
    }

    @Test
    void everyNameOfTheProtocolHasARow() throws IOException {
        String document = Files.readString(DOCUMENT);

        assertEquals(
                List.of(),
                NAMES.stream()
                        .flatMap(line -> Arrays.stream(line.split(" ", -1)))
                        .map(name -> "NBD_" + name)
                        .filter(name -> !document.contains("`" + name + "`"))
                        .toList());
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
