package pmemblk.nbd.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RequestCodecTest {
    private static final String COMPACT =
            "25609513 0001 0001 0102030405060708 8000000000000000 01000000";
    private static final String EXTENDED =
            "21e41c71 0020 0001 0102030405060708 8000000000000000 0000000001000000";

    private static ByteBuf bytes(String hex) {
        return Unpooled.wrappedBuffer(ByteBufUtil.decodeHexDump(hex.replace(" ", "")));
    }

    @Test
    void compactHeadersHaveTheirGoldenBytes() throws ProtocolException {
        assertEquals(
                new Request(
                        Command.WRITE, 1, 0x0102030405060708L, Long.MIN_VALUE, 1 << 24, 1 << 24),
                RequestDecoder.decode(bytes(COMPACT), false));
        assertEquals(
                new Request(Command.TRIM, 0x20, 1, 2, 0xffff_ffffL, 0),
                RequestDecoder.decode(
                        bytes("25609513 0020 0004 0000000000000001 0000000000000002 ffffffff"),
                        false));
        assertEquals(
                new Request(null, 0, 1, 2, 3, 0),
                RequestDecoder.decode(
                        bytes("25609513 0000 00ff 0000000000000001 0000000000000002 00000003"),
                        false));
    }

    @Test
    void extendedHeadersHaveTheirGoldenBytes() throws ProtocolException {
        assertEquals(
                new Request(
                        Command.WRITE, 0x20, 0x0102030405060708L, Long.MIN_VALUE, 1 << 24, 1 << 24),
                RequestDecoder.decode(bytes(EXTENDED), true));
        assertEquals(
                new Request(Command.WRITE_ZEROES, 0, 1, 2, -1, 0),
                RequestDecoder.decode(
                        bytes(
                                "21e41c71 0000 0006 0000000000000001 0000000000000002"
                                        + " ffffffffffffffff"),
                        true));
        assertEquals(
                new Request(Command.WRITE, 0, 1, 2, 3, 0),
                RequestDecoder.decode(
                        bytes(
                                "21e41c71 0000 0001 0000000000000001 0000000000000002"
                                        + " 0000000000000003"),
                        true));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void headersAreReadOnlyOnceTheyAreWhole(boolean extended) throws ProtocolException {
        ByteBuf whole = bytes(extended ? EXTENDED : COMPACT);
        for (int length = 0; length < whole.capacity(); length++) {
            ByteBuf part = whole.slice(0, length);
            assertNull(RequestDecoder.decode(part, extended));
            assertEquals(length, part.readableBytes());
        }

        assertNotNull(RequestDecoder.decode(whole, extended));
        assertEquals(0, whole.readableBytes());
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void mutatedHeadersAreRequestsOrViolations(boolean extended) {
        SplittableRandom random = new SplittableRandom(3);
        byte[] golden = ByteBufUtil.getBytes(bytes(extended ? EXTENDED : COMPACT));
        for (int i = 0; i < 20_000; i++) {
            byte[] mutated = golden.clone();
            for (int n = random.nextInt(1, 4); n > 0; n--) {
                mutated[random.nextInt(mutated.length)] = (byte) random.nextInt();
            }
            try {
                Request request = RequestDecoder.decode(Unpooled.wrappedBuffer(mutated), extended);
                assertNotNull(request);
                assertEquals(true, request.payloadLength() >= 0);
                assertEquals(true, request.payloadLength() <= Limits.SKIPPED_PAYLOAD);
            } catch (ProtocolException e) {
                assertEquals(true, String.valueOf(e.getMessage()).matches(".*(begins|payload).*"));
            }
        }
    }

    @Test
    void anotherMagicEndsTheSession() {
        assertThrows(ProtocolException.class, () -> RequestDecoder.decode(bytes(EXTENDED), false));
        ByteBuf compact = bytes(COMPACT + "00000000");
        assertThrows(ProtocolException.class, () -> RequestDecoder.decode(compact, true));
    }

    @ParameterizedTest
    @ValueSource(strings = {"0000000004000001", "8000000000000000", "ffffffffffffffff"})
    void payloadBeyondAllMeasureEndsTheSession(String length) {
        String head = "21e41c71 0020 00ff 0000000000000001 0000000000000002";

        assertThrows(
                ProtocolException.class, () -> RequestDecoder.decode(bytes(head + length), true));
    }

    @Test
    void payloadOfAStatusIsALengthAndContexts() {
        assertEquals(
                new StatusQuery(1L << 40, List.of(1, 0xdeadbeef)),
                RequestDecoder.statusQuery(bytes("0000010000000000 00000001 deadbeef")));
        assertEquals(
                new StatusQuery(-1, List.of()),
                RequestDecoder.statusQuery(bytes("ffffffffffffffff")));
    }
}
