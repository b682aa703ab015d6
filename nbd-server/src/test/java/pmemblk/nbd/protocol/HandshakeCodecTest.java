package pmemblk.nbd.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.DecoderException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HandshakeCodecTest {
    private static final String FLAGS = "00000003";

    /** GO for "disk" with NAME and BLOCK_SIZE, then LIST, then an option nobody knows. */
    private static final String OPTIONS =
            FLAGS
                    + "49484156454f5054 00000007 0000000e 00000004 6469736b 0002 0001 0003"
                    + "49484156454f5054 00000003 00000000"
                    + "49484156454f5054 00000008 00000000"
                    + "49484156454f5054 0000000b 00000000"
                    + "49484156454f5054 00000009 0000000c 00000004 6469736b 00000000"
                    + "49484156454f5054 0000000a 00000016 00000000 00000002"
                    + " 00000003 613a62 00000003 c3a93a"
                    + "49484156454f5054 000000ff 00000003 010203";

    private static final List<Object> DECODED =
            List.of(
                    new HandshakeDecoder.ClientFlags(3),
                    new Option.Info(true, "disk", Set.of(1, 3)),
                    new Option.List(),
                    new Option.StructuredReply(),
                    new Option.ExtendedHeaders(),
                    new Option.MetaContext(false, "disk", List.of()),
                    new Option.MetaContext(true, "", List.of("a:b", "é:")),
                    new Option.Unsupported(255));

    private static byte[] bytes(String hex) {
        return ByteBufUtil.decodeHexDump(hex.replace(" ", ""));
    }

    private static List<Object> decode(byte[] bytes, SplittableRandom splits) {
        EmbeddedChannel channel = new EmbeddedChannel(new HandshakeDecoder(64 << 10));
        try {
            for (int done = 0; done < bytes.length; ) {
                int count = Math.min(bytes.length - done, splits.nextInt(1, 9));
                channel.writeInbound(Unpooled.copiedBuffer(bytes, done, count));
                done += count;
            }
            List<Object> decoded = new ArrayList<>();
            for (Object o = channel.readInbound(); o != null; o = channel.readInbound()) {
                decoded.add(o);
            }
            return decoded;
        } finally {
            channel.finishAndReleaseAll();
        }
    }

    private static Object decodeOption(String hex) {
        return decode(bytes(FLAGS + "49484156454f5054" + hex), new SplittableRandom(1)).get(1);
    }

    @Test
    void optionsAreDecodedHoweverTheyAreSplit() {
        for (int seed = 0; seed < 200; seed++) {
            assertEquals(DECODED, decode(bytes(OPTIONS), new SplittableRandom(seed)));
        }
    }

    @Test
    void mutatedBytesGiveOptionsOrProtocolExceptions() {
        SplittableRandom random = new SplittableRandom(7);
        for (int i = 0; i < 20_000; i++) {
            byte[] mutated = bytes(OPTIONS);
            for (int n = random.nextInt(1, 4); n > 0; n--) {
                mutated[random.nextInt(mutated.length)] = (byte) random.nextInt();
            }
            try {
                decode(mutated, random);
            } catch (DecoderException e) {
                assertInstanceOf(ProtocolException.class, e.getCause(), "round " + i);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "00000006 00000000, too short",
        "00000007 00000005 00000000ff, too short",
        "00000007 00000006 00000001 0000, longer than the data",
        "00000007 00000006 ffffffff 0000, longer than the data",
        "00000007 00000006 00000000 0001, does not fit",
        "00000007 00000007 00000000 0000 00, does not fit",
        "00000006 00000007 00000001 ff 0000, not UTF-8",
        "00000006 00000007 00000001 00 0000, NUL",
        "00000003 00000001 00, takes no data",
        "00000005 00000001 00, takes no data",
        "00000008 00000001 00, takes no data",
        "0000000b 00000001 00, takes no data",
        "00000009 00000000, begins with no name and count",
        "00000009 00000007 00000000 000000, begins with no name and count",
        "00000009 00000009 00000002 61 00000000, begins with no name and count",
        "0000000a 00000008 ffffffff 00000000, begins with no name and count",
        "0000000a 00000009 00000000 00000000 00, does not fit",
        "0000000a 00000008 00000000 00000001, query 1",
        "0000000a 00000008 00000000 ffffffff, query 1",
        "0000000a 00000013 00000000 00000002 00000003 613a62 00000003, query 2",
        "0000000a 0000000f 00000000 00000001 00000003 616161, query 1",
        "0000000a 0000000e 00000000 00000001 00000002 3a61, query 1",
        "0000000a 0000000f 00000000 00000001 00000003 613aff, query 1",
    })
    void malformedOptionsAreToldFromOthers(String option, String reason) {
        Option.Malformed malformed = assertInstanceOf(Option.Malformed.class, decodeOption(option));

        assertEquals(true, malformed.reason().contains(reason), malformed.reason());
    }

    @Test
    void whatFollowsStartTlsIsToldOfIfItIsThereAlready() {
        String startTls = FLAGS + "49484156454f5054 00000005 00000000";
        byte[] followed = bytes(startTls + "16");
        EmbeddedChannel channel = new EmbeddedChannel(new HandshakeDecoder(64 << 10));
        channel.writeInbound(Unpooled.wrappedBuffer(followed));

        channel.readInbound();
        assertEquals(new Option.StartTls(true), channel.readInbound());
        channel.finishAndReleaseAll();
        assertEquals(
                new Option.StartTls(false),
                decode(bytes(startTls), new SplittableRandom(1)).get(1));
    }

    @ParameterizedTest
    @CsvSource({
        "00000007, unknown client flags",
        "80000003, unknown client flags",
        "00000003 00000000000000000000000000000000, not IHAVEOPT",
        "00000003 49484156454f5054 00000007 ffffffff, at most 65536",
        "00000003 49484156454f5054 00000063 00010001, at most 65536",
        "00000003 49484156454f5054 00000001 00000001 00, name",
    })
    void violationsEndTheSession(String hex, String reason) {
        DecoderException e =
                assertThrows(
                        DecoderException.class, () -> decode(bytes(hex), new SplittableRandom(1)));

        ProtocolException cause = assertInstanceOf(ProtocolException.class, e.getCause());
        assertEquals(true, String.valueOf(cause.getMessage()).contains(reason), e.toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"00000000", "00000001", "00000002", "00000003"})
    void clientsMaySpeakAnyNewstyle(String flags) {
        assertEquals(
                List.of(
                        new HandshakeDecoder.ClientFlags(Integer.parseInt(flags)),
                        new Option.ExportName("a")),
                decode(
                        bytes(flags + "49484156454f5054 00000001 00000001 61"),
                        new SplittableRandom(1)));
    }

    @Test
    void namesOfUpTo4096BytesAreTakenAndNoLongerOnes() {
        String longest = "6e".repeat(4096);
        assertInstanceOf(
                Option.Info.class, decodeOption("00000007 00001006 00001000" + longest + "0000"));

        assertInstanceOf(
                Option.Malformed.class,
                decodeOption("00000007 00001007 00001001" + longest + "6e0000"));
        assertEquals(
                new Option.ExportName("n".repeat(4096)),
                decodeOption("00000001 00001000" + longest));
        assertThrows(
                DecoderException.class, () -> decodeOption("00000001 00001001" + longest + "6e"));
    }

    @Test
    void aLongOptionIsRefusedBeforeItsDataComes() {
        EmbeddedChannel channel = new EmbeddedChannel(new HandshakeDecoder(64 << 10));

        assertThrows(
                DecoderException.class,
                () ->
                        channel.writeInbound(
                                Unpooled.wrappedBuffer(
                                        bytes(FLAGS + "49484156454f5054 00000002 00010001"))));
        assertThrows(DecoderException.class, channel::finishAndReleaseAll);
    }

    private static String encoded(Consumer<ByteBuf> encoder) {
        ByteBuf out = Unpooled.buffer();
        encoder.accept(out);
        return ByteBufUtil.hexDump(out);
    }

    private static String reply(OptionReply reply) {
        return encoded(out -> HandshakeEncoder.reply(out, OptionCode.GO, reply));
    }

    @Test
    void greetsAsFixedNewstyle() {
        assertEquals(
                "4e42444d41474943" + "49484156454f5054" + "0003", encoded(HandshakeEncoder::greet));
    }

    @Test
    void answersToOptionsHaveTheirGoldenBytes() {
        String head = "0003e889045565a9" + "00000007";
        assertEquals(head + "00000001" + "00000000", reply(new OptionReply.Ack()));
        assertEquals(
                head + "00000002" + "00000009" + "00000002" + "c3a9" + "616263",
                reply(new OptionReply.Server("é", "abc")));
        assertEquals(
                head + "00000003" + "0000000c" + "0000" + "0000000001020304" + "0d6d",
                reply(new OptionReply.Export(0x01020304, 0xd6d)));
        assertEquals(
                head + "00000003" + "00000003" + "0001" + "61", reply(new OptionReply.Name("a")));
        assertEquals(
                head + "00000003" + "00000003" + "0002" + "62",
                reply(new OptionReply.Description("b")));
        assertEquals(
                head + "00000003" + "0000000e" + "0003" + "00000001" + "00001000" + "02000000",
                reply(new OptionReply.BlockSize(1, 4096, 32 << 20)));
        assertEquals(
                head + "80000005" + "00000002" + "6e6f",
                reply(new OptionReply.Refusal(OptionError.TLS_REQD, "no")));
        assertEquals(
                head + "80000002" + "00000002" + "6e6f",
                reply(new OptionReply.Refusal(OptionError.POLICY, "no")));
        assertEquals(
                head + "00000004" + "00000006" + "00000102" + "613a",
                reply(new OptionReply.MetaContext(0x102, "a:")));
        assertEquals(
                head + "80000006" + "00000002" + "6e6f",
                reply(new OptionReply.Refusal(OptionError.UNKNOWN, "no")));
    }

    @Test
    void answerToExportNameIsPaddedUnlessTheClientSaidNot() {
        String answer = "0000000000000200" + "0001";

        assertEquals(
                answer + "00".repeat(124),
                encoded(out -> HandshakeEncoder.exportName(out, 512, 1, false)));
        assertEquals(answer, encoded(out -> HandshakeEncoder.exportName(out, 512, 1, true)));
    }
}
