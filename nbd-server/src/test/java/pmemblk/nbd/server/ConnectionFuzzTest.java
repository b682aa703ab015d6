package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What fuzzing has found worth keeping, run again. */
class ConnectionFuzzTest {
    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @ParameterizedTest
    @MethodSource("handshakes")
    @Timeout(20)
    void hostileHandshakeDoesNoHarm(Path input) throws IOException {
        HandshakeFuzz.fuzzerTestOneInput(Files.readAllBytes(input));
    }

    @ParameterizedTest
    @MethodSource("transmissions")
    @Timeout(20)
    void hostileTransmissionDoesNoHarm(Path input) throws IOException {
        TransmissionFuzz.fuzzerTestOneInput(Files.readAllBytes(input));
    }

    static List<Path> handshakes() throws IOException {
        return inputs("handshake");
    }

    static List<Path> transmissions() throws IOException {
        return inputs("transmission");
    }

    private static List<Path> inputs(String kind) throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/test/resources/fuzz", kind))) {
            List<Path> inputs = files.sorted().toList();
            assertFalse(inputs.isEmpty());
            return inputs;
        }
    }
}
