package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ByteSizeTest {
    @ParameterizedTest
    @CsvSource({
        "1, 1",
        "4096, 4096",
        "4K, 4096",
        "4k, 4096",
        "4KiB, 4096",
        "16m, 16777216",
        "1G, 1073741824",
        "1GiB, 1073741824",
        "2T, 2199023255552",
        "8388607T, 9223370937343148032",
        "9223372036854775807, 9223372036854775807"
    })
    void unitsArePowersOf1024(String text, long bytes) {
        assertEquals(bytes, ByteSize.parse(text));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "K",
                "1.5G",
                "-1",
                "+1",
                "1 G",
                "1KB",
                "1iB",
                "0x10",
                "1P",
                "1GG",
                "ten",
                "0",
                "0K",
                "8388608T",
                "9223372036854775808",
                "99999999999999999999T",
                "\u0661K"
            })
    void whatIsNoSizeIsRefusedByName(String text) {
        TypeConversionException refused =
                assertThrows(TypeConversionException.class, () -> ByteSize.parse(text));

        assertTrue(refused.toString().contains(": '" + text + "' is "), refused.toString());
    }

    @Test
    void blockSizeBeyondAnIntIsRefused() {
        assertEquals(1 << 30, ByteSize.parseBlockSize("1G"));
        assertThrows(TypeConversionException.class, () -> ByteSize.parseBlockSize("2G"));
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0 bytes",
        "1023, 1023 bytes",
        "1024, 1 KiB (1024 bytes)",
        "1536, 1.5 KiB (1536 bytes)",
        "16785408, 16.0 MiB (16785408 bytes)",
        "1073741824, 1 GiB (1073741824 bytes)",
        "9223370937343148032, 8388607 TiB (9223370937343148032 bytes)"
    })
    void sizesAreShownInTheirLargestUnit(long bytes, String text) {
        assertEquals(text, ByteSize.format(bytes));
    }
}
