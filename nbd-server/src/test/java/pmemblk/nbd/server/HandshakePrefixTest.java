package pmemblk.nbd.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.IOException;
import java.io.InputStream;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What real clients say, cut off anywhere, by the end of the connection or by a reset. */
class HandshakePrefixTest extends OptionFixture {
    private static final int FLAGS_SIZE = Integer.BYTES;

    /**
     * What a client once said.
     *
     * @param name of the program
     * @param said in hexadecimal
     */
    record Recorded(String name, String said) {
        @Override
        public String toString() {
            return name;
        }
    }

    static List<Recorded> handshakes() throws IOException {
        try (InputStream in = HandshakePrefixTest.class.getResourceAsStream("/handshakes.txt")) {
            assertNotNull(in);
            return new String(in.readAllBytes(), UTF_8)
                    .lines()
                    .filter(line -> !line.startsWith("#"))
                    .map(line -> line.split(": ", -1))
                    .map(words -> new Recorded(words[0], words[1]))
                    .toList();
        }
    }

    @Test
    void twentyHandshakesAreRecorded() throws IOException {
        assertEquals(20, handshakes().stream().map(Recorded::name).distinct().count());
    }

    @ParameterizedTest
    @MethodSource("handshakes")
    void cve2013_7441NoPrefixOfAHandshakeHarmsAnyoneElse(Recorded handshake) throws IOException {
        byte[] said = HexFormat.of().parseHex(handshake.said());
        // The flags come before TLS can begin.
        boolean inTls = RawClient.tls != null;
        try (RawClient good = RawClient.transmitting(server)) {
            for (int end = inTls ? FLAGS_SIZE : 0; end <= said.length; end++) {
                try (RawClient client = new RawClient(server)) {
                    int start = 0;
                    if (inTls) {
                        client.greet();
                        start = FLAGS_SIZE;
                    }
                    client.out.write(said, start, end - start);
                    client.out.flush();
                    if (end % 2 == 0) {
                        client.reset();
                    }
                }
                assertEquals(0, good.call(RawClient.READ, 0, end, 100, new byte[100]));
            }
        }
    }
}
