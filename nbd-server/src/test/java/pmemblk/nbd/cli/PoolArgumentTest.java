package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class PoolArgumentTest {
    @ParameterizedTest
    @CsvSource({
        "disk.pool, disk, disk.pool",
        "/srv/disk.pool, disk, /srv/disk.pool",
        "disk, disk, disk",
        "disk.2026.pool, disk.2026, disk.2026.pool",
        ".hidden, .hidden, .hidden",
        "root=a.pool, root, a.pool",
        "my root=/srv/a.pool, my root, /srv/a.pool",
        "root=/srv/a=b.pool, root, /srv/a=b.pool",
        "./a=b.pool, a=b, ./a=b.pool"
    })
    void nameIsGivenOrTheFilesWithoutExtension(String text, String name, Path pool) {
        assertEquals(new PoolArgument(name, pool), PoolArgument.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "=a.pool", "name="})
    void emptyNamesAndPathsAreRefused(String text) {
        assertThrows(TypeConversionException.class, () -> PoolArgument.parse(text));
    }
}
