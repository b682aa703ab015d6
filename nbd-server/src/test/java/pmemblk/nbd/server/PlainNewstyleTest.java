package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.protocol.Limits;

/** Clients that do not speak fixed newstyle, and so cannot be refused an option. */
class PlainNewstyleTest extends TlsFixture {
    private static RawClient flagged(NbdServer server, int flags) throws IOException {
        RawClient client = new RawClient(server);
        client.in.skipNBytes(18);
        client.out.writeInt(flags);
        return client;
    }

    @ParameterizedTest
    @CsvSource({"0, 124", "1, 124", "2, 0", "3, 0"})
    void exportNameIsAnsweredToEveryClientWithThePaddingThatItTakes(int flags, int padding)
            throws IOException {
        try (RawClient client = flagged(serve(on()), flags)) {
            client.option(EXPORT_NAME, name("disk"));
            assertEquals(Limits.PAYLOAD, client.in.readLong());
            client.in.skipNBytes(2 + padding);
            requireTransmission(client);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED_REPLY, 99})
    void anyOtherOptionOfPlainNewstyleHangsUp(int option) throws IOException {
        NbdServer server = serve(on());
        for (int flags : new int[] {0, 2}) {
            try (RawClient client = flagged(server, flags)) {
                client.option(option, NOTHING);
                assertEquals(-1, client.in.read());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    void plainNewstyleHangsUpWhereTlsIsRequired(int flags) throws IOException {
        try (RawClient client = flagged(serve(required()), flags)) {
            client.option(EXPORT_NAME, name("disk"));
            assertTrue(client.isHungUp());
        }
    }
}
