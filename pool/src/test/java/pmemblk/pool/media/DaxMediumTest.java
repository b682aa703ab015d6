package pmemblk.pool.media;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DaxMediumTest {
    @ParameterizedTest
    @ValueSource(strings = {"interpreted mode, sharing", "mixed mode, emulated-client, sharing"})
    void aJvmWithoutC2IsToldWhyItCannotUsePersistentMemory(String vmInfo) {
        IOException e =
                assertThrows(
                        IOException.class,
                        () -> DaxMedium.requireCompiler(Path.of("disk.pool"), vmInfo));

        assertTrue(String.valueOf(e.getMessage()).startsWith("disk.pool: "), e::getMessage);
    }

    @Test
    void theJvmOfThisTestCanUseIt() {
        assertDoesNotThrow(
                () ->
                        DaxMedium.requireCompiler(
                                Path.of("disk.pool"), System.getProperty("java.vm.info", "")));
    }
}
