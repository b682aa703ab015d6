package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What fuzzing has found worth keeping, run again. */
class PoolFuzzTest {
    @ParameterizedTest
    @MethodSource("inputs")
    @Timeout(20)
    void hostilePoolIsUsedOrRefusedInWords(Path input) throws IOException {
        PoolFuzz.fuzzerTestOneInput(Files.readAllBytes(input));
    }

    static List<Path> inputs() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/test/resources/fuzz/pool"))) {
            List<Path> inputs = files.sorted().toList();
            assertFalse(inputs.isEmpty());
            return inputs;
        }
    }
}
