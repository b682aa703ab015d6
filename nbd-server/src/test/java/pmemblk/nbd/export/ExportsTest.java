package pmemblk.nbd.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.LinkedHashMap;
import java.util.List;
import org.junit.jupiter.api.Test;

class ExportsTest {
    private final LinkedHashMap<String, Export> byName = new LinkedHashMap<>();

    @Test
    void theEmptyNameIsTheFirstExport() {
        MemoryExport first = new MemoryExport(1, false);
        byName.put("z", first);
        byName.put("a", new MemoryExport(2, false));

        Exports exports = new Exports(byName);

        assertSame(first, exports.get(""));
        assertEquals("z", exports.resolve(""));
        assertEquals(List.of("z", "a"), List.copyOf(exports.names()));
        assertNull(exports.get("b"));
    }

    @Test
    void aServerNeedsAnExport() {
        assertThrows(IllegalArgumentException.class, () -> new Exports(byName));
    }
}
