package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.server.RawClient.Received;

/** Metadata contexts: listed, selected and queried. */
@Timeout(60)
class MetaContextTest {
    private static final int BLOCK = 512;
    private static final int REQ_ONE = 8;
    private static final String ALLOCATION = "base:allocation";
    private static final String STATE = "x-pmemblk:state";
    private static final String ATOMIC_UNIT = "x-pmemblk:atomic-unit";
    private static final List<String> NOT_SELECTED =
            List.of("error 22: no metadata context was selected for this export");

    @TempDir private Path folder;

    private PoolServer server;
    private RawClient client;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        server = new PoolServer(folder, BLOCK, 17 << 20);
        client = server.structured();
    }

    @AfterEach
    void stop() throws IOException {
        client.close();
        server.close();
    }

    private List<String> status(int flags, long offset, long length) throws IOException {
        return client.status(flags, offset, length).stream().map(Received::toString).toList();
    }

    @Test
    void contextsAreListedAllOrByNamespaceOrByName() throws IOException {
        String allocation = "0 " + ALLOCATION;
        String state = "0 " + STATE;
        String unit = "0 " + ATOMIC_UNIT;

        assertEquals(List.of(allocation, state, unit), client.contexts(false, "disk"));
        assertEquals(List.of(allocation), client.contexts(false, "disk", "base:"));
        assertEquals(
                List.of(state, unit),
                client.contexts(false, "", "x-pmemblk:", "qemu:", STATE, "base:dirty"));
        assertEquals(List.of(), client.contexts(false, "disk", "qemu:dirty-bitmap:b0"));
        assertEquals(List.of("error 6"), client.contexts(false, "nobody"));
        assertEquals(List.of("error 3"), client.contexts(false, "disk", "allocation"));
    }

    @Test
    void contextsAreSelectedByNameAndNeverByNamespace() throws IOException {
        assertEquals(
                List.of("1 " + ALLOCATION, "3 " + ATOMIC_UNIT),
                client.contexts(true, "disk", ATOMIC_UNIT, "nobody:knows", ALLOCATION, ALLOCATION));
        assertEquals(List.of(), client.contexts(true, "disk", "base:", "x-pmemblk:"));
        assertEquals(List.of(), client.contexts(true, "disk"));
    }

    @Test
    void contextsNeedStructuredReplies() throws IOException {
        try (RawClient plain = new RawClient(server.server)) {
            plain.greet();
            assertEquals(List.of("error 3"), plain.contexts(false, "disk"));
            assertEquals(List.of("error 3"), plain.contexts(true, "disk", ALLOCATION));
            plain.go("disk");
            assertEquals(22, plain.call(RawClient.BLOCK_STATUS, 0, 0, 1, new byte[0]));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "unknown export", "no query", "malformed"})
    void laterSelectionReplacesAnEarlierOneEvenIfItFails(String later) throws IOException {
        client.contexts(true, "disk", ALLOCATION);
        switch (later) {
            case "unknown export" ->
                    assertEquals(List.of("error 6"), client.contexts(true, "no", STATE));
            case "no query" -> assertEquals(List.of(), client.contexts(true, "disk"));
            case "malformed" ->
                    assertEquals(List.of("error 3"), client.contexts(true, "disk", "colonless"));
            default -> client.contexts(false, "disk", STATE);
        }
        client.go("disk");

        boolean kept = later.isEmpty();
        assertEquals(kept ? List.of("context 1: 512/2") : NOT_SELECTED, status(0, 0, BLOCK));
    }

    @Test
    void selectionIsForTheExportThatItNamesByWhateverName() throws IOException {
        client.contexts(true, "other", ALLOCATION);
        client.go("disk");
        assertEquals(NOT_SELECTED, status(0, 0, BLOCK));

        try (RawClient second = server.structured()) {
            second.contexts(true, "", ALLOCATION);
            assertEquals(1, second.info(6, "other"));
            second.go("disk");
            assertEquals("[context 1: 512/2]", second.status(0, 0, BLOCK).toString());
        }
    }

    @Test
    void exportWithoutAMapIsAllData() throws IOException {
        client.contexts(true, "other", ALLOCATION, STATE);
        client.go("other");

        assertEquals(List.of("context 1: 1000/0", "context 2: 1000/0"), status(0, 5, 1000));
    }

    @Test
    void eachContextSeesItsOwnExtents() throws IOException {
        server.write(1, 1);
        server.pool.setError(2);
        server.write(3, 3);
        client.contexts(true, "disk", ALLOCATION, STATE, ATOMIC_UNIT);
        client.go("disk");

        assertEquals(
                List.of(
                        "context 1: 512/2 1536/0 512/2",
                        "context 2: 1024/0 512/1 1024/0",
                        "context 3: 2560/512"),
                status(0, 0, 5 * BLOCK));
        assertEquals(
                List.of("context 1: 512/2", "context 2: 512/0", "context 3: 512/512"),
                status(REQ_ONE, 0, 5 * BLOCK));
        assertEquals(
                List.of("context 1: 10/0", "context 2: 10/1", "context 3: 10/512"),
                status(REQ_ONE, 2 * BLOCK + 100, 10));
    }

    @Test
    void atomicUnitIsOneExtentHoweverLong() throws IOException {
        long size = server.pool.byteSize();
        client.contexts(true, "disk", ATOMIC_UNIT);
        client.go("disk");

        assertEquals(List.of("context 3: %d/512".formatted(size)), status(0, 0, size));
    }

    @Test
    void refusalsSayWhy() throws IOException {
        long size = server.pool.byteSize();
        client.contexts(true, "disk", ALLOCATION);
        client.go("disk");

        String outside = "error 22: the range does not lie within the %d bytes".formatted(size);
        assertEquals(List.of(outside), status(0, size - 1, 2));
        assertEquals(List.of("error 22: BLOCK_STATUS is of at least one byte"), status(0, 0, 0));
        assertEquals(List.of("error 22: BLOCK_STATUS takes no command flags 0x4"), status(4, 0, 1));
    }
}
