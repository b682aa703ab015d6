package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NbdUriTest {
    @ParameterizedTest
    @CsvSource({
        "disk, disk",
        "hello world, hello%20world",
        "a?b#c%d, a%3Fb%23c%25d",
        "a-b.c_d~e, a-b.c_d~e",
        "/disk, /disk",
        "Größe, Gr%C3%B6%C3%9Fe",
        "a&b=c+d, a%26b%3Dc%2Bd"
    })
    void namesArePercentEncoded(String name, String encoded) {
        InetSocketAddress address = new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 1);

        assertEquals("nbd://127.0.0.1:1/" + encoded, NbdUri.tcp(address, name));
    }

    @Test
    void ipv6IsInBrackets() {
        InetSocketAddress address = new InetSocketAddress(InetAddress.ofLiteral("::1"), 10809);

        assertEquals("nbd://[0:0:0:0:0:0:0:1]:10809/disk", NbdUri.tcp(address, "disk"));
    }

    @ParameterizedTest
    @CsvSource({
        "nbd://127.0.0.1:1/disk, nbds://127.0.0.1:1/disk",
        "nbd+unix:///disk?socket=/a, nbds+unix:///disk?socket=/a"
    })
    void tlsIsAnotherScheme(String uri, String withTls) {
        assertEquals(withTls, NbdUri.withTls(uri));
    }

    @Test
    void socketIsAnAbsolutePercentEncodedPath() {
        assertEquals(
                "nbd+unix:///disk?socket=/run/my%20nbd/a%26b",
                NbdUri.unix(Path.of("/run/x/../my nbd/a&b"), "disk"));
        assertEquals(
                "nbd+unix:///disk?socket=" + Path.of("nbd.sock").toAbsolutePath(),
                NbdUri.unix(Path.of("nbd.sock"), "disk"));
    }
}
