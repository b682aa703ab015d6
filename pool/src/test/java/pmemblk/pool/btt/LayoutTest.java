package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The layouts on the medium, by the numbers of the format and by blocks that libpmemblk wrote. */
class LayoutTest {
    private static final int MIX_512 = 16_785_408;

    private static MemorySegment golden(long offset, int length) throws IOException {
        try (InputStream packed = LayoutTest.class.getResourceAsStream("/golden/mix-512.pool.gz");
                GZIPInputStream in = new GZIPInputStream(packed)) {
            byte[] file = in.readAllBytes();
            assertEquals(MIX_512, file.length);
            MemorySegment block = MemorySegment.ofArray(new long[length / 8]);
            MemorySegment.copy(file, (int) offset, block, ValueLayout.JAVA_BYTE, 0, length);
            return block;
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0100000002000000, 17179869187",
        "0000000000000000, 0",
    })
    void checksumsAreThoseOfTheFormat(String hex, long sum) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(8).put(HexFormat.of().parseHex(hex));
        assertEquals(sum, Fletcher64.sum(MemorySegment.ofBuffer(bytes.flip()), 8, 8));
    }

    @Test
    void checksumOfCountingBytes() {
        ByteBuffer bytes = ByteBuffer.allocateDirect(64);
        for (int i = 0; i < 64; i++) {
            bytes.put((byte) i);
        }
        MemorySegment block = MemorySegment.ofBuffer(bytes.flip());
        assertEquals(0x43BB32A01201F1E0L, Fletcher64.sum(block, 64, 64));
    }

    @ParameterizedTest
    @CsvSource({
        "sig, 0",
        "uuid, 16",
        "parent_uuid, 32",
        "flags, 48",
        "major, 52",
        "minor, 54",
        "external_lbasize, 56",
        "external_nlba, 60",
        "internal_lbasize, 64",
        "internal_nlba, 68",
        "nfree, 72",
        "infosize, 76",
        "nextoff, 80",
        "dataoff, 88",
        "mapoff, 96",
        "flogoff, 104",
        "infooff, 112",
        "unused, 120",
        "checksum, 4088",
    })
    void infoBlockFieldsLieWhereTheFormatSays(String field, long offset) {
        assertEquals(offset, InfoBlock.offset(field));
        assertEquals(4096, InfoBlock.LAYOUT.byteSize());
    }

    @Test
    void infoBlockReadsAndWritesTheLibrarysBytes() throws IOException {
        MemorySegment block = golden(8192, 4096);
        UUID parent = Guid.read(golden(0, 4096), 24);

        InfoBlock info = InfoBlock.read(block);

        assertNull(InfoBlock.fault(block, parent));
        assertNull(info.problem(512, MIX_512 - 8192));
        assertEquals(32202, info.externalNlba());
        MemorySegment written = MemorySegment.ofArray(new long[512]);
        info.write(written);
        assertEquals(-1, block.mismatch(written));
        assertEquals(
                List.of(info),
                Geometry.arenas(MIX_512 - 8192, 512, info.uuid(), info.parentUuid()));
        assertNull(InfoBlock.fault(block, null));
        assertNotNull(InfoBlock.fault(block, UUID.randomUUID()));
        block.set(ValueLayout.JAVA_BYTE, 72, (byte) 1);
        assertNotNull(InfoBlock.fault(block, parent));
    }

    @Test
    void uuidsReadAsPmempoolPrintsThem() {
        byte[] bytes = HexFormat.of().parseHex("b0c3a0f71bdd80468ccce0615e02df6a");
        MemorySegment block = MemorySegment.ofArray(bytes);

        UUID uuid = Guid.read(block, 0);

        assertEquals("f7a0c3b0-dd1b-4680-8ccc-e0615e02df6a", uuid.toString());
        byte[] written = new byte[16];
        Guid.write(MemorySegment.ofArray(written), 0, uuid);
        assertArrayEquals(bytes, written);
    }

    @ParameterizedTest
    @CsvSource({
        "00000000, true, false, false, true, C0000005",
        "00000007, true, false, false, true, C0000005",
        "80000007, false, false, false, true, 80000007",
        "40000007, false, true, false, false, 40000007",
        "C0000007, false, false, true, false, C0000007",
    })
    void mapEntriesHaveTheFourStates(
            String hex,
            boolean initial,
            boolean error,
            boolean normal,
            boolean zeroes,
            String explicit) {
        int entry = HexFormat.fromHexDigits(hex);

        assertEquals(initial, MapEntry.isInitial(entry));
        assertEquals(error, MapEntry.isError(entry));
        assertEquals(normal, MapEntry.isNormal(entry));
        assertEquals(zeroes, MapEntry.readsAsZeroes(entry));
        assertEquals(HexFormat.fromHexDigits(explicit), MapEntry.explicit(entry, 5));
    }

    @ParameterizedTest
    @CsvSource({
        "16777216, 520, 0, 21695, 21439, 16670720, 16756736, 16773120",
        "16777216, 512, 0, 32458, 32202, 16625664, 16756736, 16773120",
        "549822922752, 65536, 0, 8388095, 8387839, 549722238976, 549755793408, 549755809792",
        "549822922752, 65536, 1, 1023, 767, 67084288, 67088384, 67104768",
    })
    void arenasAreDividedAsInTheWorkedExamples(
            long rawSize,
            int blockSize,
            int arena,
            int internal,
            int external,
            long mapOffset,
            long flogOffset,
            long infoOffset) {
        UUID uuid = new UUID(1, 2);
        InfoBlock info = Geometry.arenas(rawSize, blockSize, uuid, uuid).get(arena);

        assertEquals(internal, info.internalNlba());
        assertEquals(external, info.externalNlba());
        assertEquals(mapOffset, info.mapOffset());
        assertEquals(flogOffset, info.flogOffset());
        assertEquals(infoOffset, info.infoOffset());
    }
}
