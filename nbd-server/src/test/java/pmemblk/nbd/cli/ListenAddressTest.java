package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.net.InetSocketAddress;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ListenAddressTest {
    @ParameterizedTest
    @CsvSource({
        "127.0.0.1:10809, 127.0.0.1, 10809",
        "0.0.0.0:0, 0.0.0.0, 0",
        "[::1]:65535, 0:0:0:0:0:0:0:1, 65535",
        "localhost:1, 127.0.0.1, 1"
    })
    void hostAndPortAreTaken(String text, String host, int port) {
        InetSocketAddress address = new ListenAddress().convert(text);

        assertEquals(host, address.getAddress().getHostAddress());
        assertEquals(port, address.getPort());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "127.0.0.1",
                ":10809",
                "10809",
                "127.0.0.1:",
                "127.0.0.1:65536",
                "127.0.0.1:99999",
                "127.0.0.1:-1",
                "127.0.0.1:nbd",
                "::1:10809",
                "[::1]",
                "[]:1",
                "[::g]:1",
                "no host:1"
            })
    void whatIsNoAddressIsRefused(String text) {
        assertThrows(TypeConversionException.class, () -> new ListenAddress().convert(text));
    }
}
