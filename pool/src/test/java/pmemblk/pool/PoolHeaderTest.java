package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.UUID;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import pmemblk.pool.btt.Geometry;

class PoolHeaderTest {

    private static MemorySegment golden() throws IOException {
        try (InputStream in = new GZIPInputStream(Golden.resource("mix-512.pool.gz"))) {
            MemorySegment block = MemorySegment.ofArray(new long[512]);
            MemorySegment.copy(in.readNBytes(4096), 0, block, ValueLayout.JAVA_BYTE, 0, 4096);
            return block;
        }
    }

    @ParameterizedTest
    @CsvSource({
        "signature, 0",
        "major, 8",
        "compat, 12",
        "incompat, 16",
        "ro_compat, 20",
        "poolset_uuid, 24",
        "uuid, 40",
        "prev_part_uuid, 56",
        "next_part_uuid, 72",
        "prev_repl_uuid, 88",
        "next_repl_uuid, 104",
        "crtime, 120",
        "alignment_desc, 128",
        "machine_class, 136",
        "data, 137",
        "machine, 142",
        "unused, 144",
        "unused2, 2048",
        "sds, 4024",
        "checksum, 4088",
    })
    void fieldsLieWhereTheFormatSays(String field, long offset) {
        assertEquals(offset, PoolHeader.offset(field));
        assertEquals(PoolHeader.SIZE, PoolHeader.LAYOUT.byteSize());
    }

    @Test
    void writesTheLibrarysBytes() throws IOException {
        MemorySegment block = golden();
        assertNull(PoolHeader.problem(block));
        assertNull(PoolHeader.shutdownProblem(block));
        MemorySegment written = MemorySegment.ofArray(new long[512]);

        PoolHeader.read(block).write(written, block.get(ValueLayout.JAVA_LONG, 120));

        assertEquals(-1, block.mismatch(written));
    }

    @ParameterizedTest
    @CsvSource({"0", "8", "16", "24", "128", "136", "142", "500", "4088"})
    void aChangedByteIsNoticed(long offset) throws IOException {
        MemorySegment block = golden();
        block.set(ValueLayout.JAVA_BYTE, offset, (byte) 0x99);

        assertNotNull(PoolHeader.problem(block));
    }

    @Test
    void whatIsMadeHereHasNoProblem() {
        MemorySegment block = MemorySegment.ofArray(new long[512]);
        UUID uuid = UUID.randomUUID();
        PoolHeader.ofSingleFile(UUID.randomUUID(), uuid).write(block, 1);

        assertNull(PoolHeader.problem(block));
        assertNull(PoolHeader.shutdownProblem(block));
    }

    static List<Golden.Geometry> geometry() {
        return Golden.MANIFEST.geometry();
    }

    @ParameterizedTest
    @MethodSource("geometry")
    void poolsHaveAsManyBlocksAsTheLibraryGivesThem(Golden.Geometry golden) {
        long rawSize = golden.poolsize() / 4096 * 4096 - 8192;

        String problem = Geometry.problem(rawSize, golden.bsize());

        assertEquals(golden.errno() == null, problem == null, problem);
        if (golden.nblock() != null) {
            assertEquals(golden.nblock(), Geometry.blockCount(rawSize, (int) golden.bsize()));
        }
    }
}
