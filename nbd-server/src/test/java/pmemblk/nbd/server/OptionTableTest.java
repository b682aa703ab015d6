package pmemblk.nbd.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.tls.TlsOptions;

/**
 * Every option with data of every length, every order of options, and every prefix of a handshake,
 * against what the section "Option types" of the protocol's document allows.
 */
@Timeout(180)
class OptionTableTest {
    private static final int EXPORT_NAME = 1;
    private static final int ABORT = 2;
    private static final int LIST = 3;
    private static final int STARTTLS = 5;
    private static final int INFO = 6;
    private static final int GO = 7;
    private static final int STRUCTURED_REPLY = 8;
    private static final int LIST_META_CONTEXT = 9;
    private static final int SET_META_CONTEXT = 10;
    private static final int EXTENDED_HEADERS = 11;
    private static final int UNKNOWN = 99;

    private static final int ACK = 1;
    private static final int SERVER = 2;
    private static final int REP_INFO = 3;
    private static final int META_CONTEXT = 4;
    private static final int ERR_UNSUP = 0x8000_0001;
    private static final int ERR_POLICY = 0x8000_0002;
    private static final int ERR_INVALID = 0x8000_0003;
    private static final int ERR_EXT_HEADER_REQD = 0x8000_000a;

    /** In place of a reply: the server hangs up, which this project does above 64 KiB. */
    private static final int HANGS_UP = -1;

    private static final long[] LENGTHS = {
        0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 4095, 4096, 4097, 65_536, 1L << 31, (1L << 32) - 1
    };

    private static final long LONGEST = 65_536;
    private static final byte[] NOTHING = {};
    private static final byte[] INFO_OF_DISK = ofName("disk");

    private static final int[] ORDERED = {
        LIST,
        INFO,
        GO,
        STRUCTURED_REPLY,
        EXTENDED_HEADERS,
        SET_META_CONTEXT,
        STARTTLS,
        ABORT,
        UNKNOWN
    };

    private NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new MemoryExport(1 << 20, false));
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of());
        server = NbdServer.start(options.withTls(tls()), new Exports(exports));
    }

    /** How TLS is offered. */
    @Nullable TlsOptions tls() {
        return null;
    }

    /** Options in the longest order that is tried. */
    int longestOrder() {
        return 4;
    }

    @AfterEach
    void stop() throws IOException {
        requireServing();
        server.close();
    }

    private void requireServing() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            assertEquals(0, client.call(RawClient.READ, 0, 0, 512, new byte[512]));
        }
    }

    /** A name behind its length, and no information asked for. */
    private static byte[] ofName(String name) {
        byte[] bytes = name.getBytes(UTF_8);
        return ByteBuffer.allocate(6 + bytes.length)
                .putInt(bytes.length)
                .put(bytes)
                .putShort((short) 0)
                .array();
    }

    private static byte[] contexts() {
        byte[] query = "base:allocation".getBytes(UTF_8);
        return ByteBuffer.allocate(16 + query.length)
                .putInt(4)
                .put("disk".getBytes(UTF_8))
                .putInt(1)
                .putInt(query.length)
                .put(query)
                .array();
    }

    /** What an option of meaningless data, zeroes or noise, may be answered with. */
    private static List<Integer> allowed(int code, long length, boolean zeroes, boolean simple) {
        if (length > LONGEST) {
            return List.of(HANGS_UP);
        }
        boolean empty = length == 0;
        return switch (code) {
            case EXPORT_NAME -> empty ? List.of() : List.of(HANGS_UP);
            case ABORT -> List.of(ACK);
            case LIST, STRUCTURED_REPLY, EXTENDED_HEADERS -> List.of(empty ? ACK : ERR_INVALID);
            // Not offered, or begun.
            case STARTTLS ->
                    empty && RawClient.tls == null
                            ? List.of(ERR_POLICY)
                            : List.of(ERR_INVALID, ERR_POLICY);
            case INFO, GO -> List.of(ERR_INVALID);
            // Eight zeroes are the default export and no query.
            case LIST_META_CONTEXT, SET_META_CONTEXT ->
                    List.of(length == 8 && zeroes && !simple ? ACK : ERR_INVALID);
            default -> List.of(ERR_UNSUP);
        };
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void everyOptionWithDataOfEveryLengthIsAnsweredAsItMayBe(boolean simple) throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        int[] codes = IntStream.concat(IntStream.rangeClosed(0, 20), IntStream.of(-1)).toArray();
        for (int code : codes) {
            for (long length : LENGTHS) {
                for (boolean zeroes : new boolean[] {true, false}) {
                    byte[] data = new byte[(int) Math.min(length, LONGEST)];
                    if (!zeroes) {
                        random.nextBytes(data);
                    }
                    List<Integer> allowed = allowed(code, length, zeroes, simple);
                    try (RawClient client = new RawClient(server)) {
                        client.greet();
                        if (!simple) {
                            client.structured();
                        }
                        tryOption(client, code, length, data, allowed);
                    } catch (AssertionError | IOException e) {
                        throw new AssertionError(
                                "option %d of %d bytes, zeroes: %b".formatted(code, length, zeroes),
                                e);
                    }
                }
            }
        }
    }

    private static void tryOption(
            RawClient client, int code, long length, byte[] data, List<Integer> allowed)
            throws IOException {
        client.out.writeLong(0x49484156454f5054L);
        client.out.writeInt(code);
        client.out.writeInt((int) length);
        if (length <= LONGEST) {
            client.out.write(data);
        }
        client.out.flush();
        if (code == EXPORT_NAME && length == 0) {
            client.in.skipNBytes(10);
            client.request(RawClient.TRIM, 0, 7, 0, 0);
            client.out.flush();
            assertTrue(client.in.read() >= 0);
            return;
        }
        int type = lastReply(client, code);
        assertTrue(allowed.contains(type), () -> "%#x is not of %s".formatted(type, allowed));
        if (code == ABORT && type == ACK) {
            assertEquals(HANGS_UP, lastReply(client, code));
        } else if (type != HANGS_UP) {
            client.option(LIST, NOTHING);
            assertEquals(ACK, lastReply(client, LIST));
            client.go("disk");
        }
    }

    /** The last reply to an option, which repeats its code, or that the server hangs up. */
    private static int lastReply(RawClient client, int code) throws IOException {
        List<Integer> replies = replies(client, code);
        return replies.getLast();
    }

    /** The types of all replies to an option. */
    private static List<Integer> replies(RawClient client, int code) throws IOException {
        List<Integer> types = new ArrayList<>();
        do {
            byte[] header = client.in.readNBytes(20);
            if (header.length == 0) {
                types.add(HANGS_UP);
                return types;
            }
            ByteBuffer fields = ByteBuffer.wrap(header);
            assertEquals(0x3e889045565a9L, fields.getLong());
            assertEquals(code, fields.getInt());
            types.add(fields.getInt());
            int length = fields.getInt();
            assertTrue(length >= 0 && length <= 4200, () -> "a reply of " + length + " bytes");
            client.in.skipNBytes(length);
        } while (types.getLast() > ACK);
        return types;
    }

    /** What a client has agreed on so far. */
    private static final class Agreed {
        private boolean structured;
        private boolean extended;

        /** The replies that an option of meaningful data has. */
        List<Integer> replies(int code) {
            return switch (code) {
                case LIST -> List.of(SERVER, ACK);
                case INFO, GO -> List.of(REP_INFO, ACK);
                case STRUCTURED_REPLY -> {
                    structured |= !extended;
                    yield List.of(extended ? ERR_EXT_HEADER_REQD : ACK);
                }
                case EXTENDED_HEADERS -> {
                    extended = true;
                    yield List.of(ACK);
                }
                case SET_META_CONTEXT ->
                        structured || extended ? List.of(META_CONTEXT, ACK) : List.of(ERR_INVALID);
                case STARTTLS -> List.of(RawClient.tls == null ? ERR_POLICY : ERR_INVALID);
                case ABORT -> List.of(ACK);
                default -> List.of(ERR_UNSUP);
            };
        }
    }

    private static byte[] meaningfulData(int code) {
        return switch (code) {
            case INFO, GO -> INFO_OF_DISK;
            case LIST_META_CONTEXT, SET_META_CONTEXT -> contexts();
            case EXPORT_NAME -> "disk".getBytes(UTF_8);
            default -> NOTHING;
        };
    }

    @Test
    void cve2019_14851EveryOrderOfUpToFourOptionsIsAnsweredAsAgreed() throws IOException {
        for (int length = 1; length <= longestOrder(); length++) {
            int count = (int) Math.round(Math.pow(ORDERED.length, length));
            for (int number = 0; number < count; number++) {
                tryOrder(order(number, length));
            }
        }
    }

    private static int[] order(int number, int length) {
        int[] codes = new int[length];
        int rest = number;
        for (int i = 0; i < length; i++) {
            codes[i] = ORDERED[rest % ORDERED.length];
            rest /= ORDERED.length;
        }
        return codes;
    }

    private void tryOrder(int[] codes) throws IOException {
        Agreed agreed = new Agreed();
        try (RawClient client = new RawClient(server)) {
            client.greet();
            for (int code : codes) {
                client.option(code, meaningfulData(code));
                assertEquals(agreed.replies(code), replies(client, code));
                if (code == ABORT) {
                    assertEquals(-1, client.in.read());
                    return;
                }
                if (code == GO) {
                    requireReplyForm(client, agreed);
                    return;
                }
            }
        } catch (AssertionError | IOException e) {
            throw new AssertionError("options " + Arrays.toString(codes), e);
        }
    }

    /** A READ is answered in the form that was agreed on. */
    private static void requireReplyForm(RawClient client, Agreed agreed) throws IOException {
        client.out.writeInt(agreed.extended ? 0x21e41c71 : 0x25609513);
        client.out.writeInt(RawClient.READ);
        client.out.writeLong(7);
        client.out.writeLong(0);
        if (agreed.extended) {
            client.out.writeLong(512);
        } else {
            client.out.writeInt(512);
        }
        client.out.flush();
        int magic = agreed.extended ? 0x6e8a278c : agreed.structured ? 0x668e33ef : 0x67446698;
        assertEquals(magic, client.in.readInt());
    }

    @Test
    void everyPrefixOfTwentyHandshakesHarmsNobody() throws IOException {
        SplittableRandom random = new SplittableRandom(2);
        for (int handshake = 0; handshake < 20; handshake++) {
            byte[] said = handshake(random);
            for (int length = 0; length <= said.length; length++) {
                try (Socket client = new Socket()) {
                    client.connect((InetSocketAddress) server.addresses().getFirst());
                    client.getOutputStream().write(said, 0, length);
                    // By a reset every other time.
                    client.setSoLinger(length % 2 == 0, 0);
                }
            }
        }
    }

    /** What a client says in one: its flags, up to three options, GO or EXPORT_NAME, a READ. */
    private static byte[] handshake(SplittableRandom random) throws IOException {
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(said);
        out.writeInt(3);
        for (int i = random.nextInt(4); i > 0; i--) {
            writeOption(out, ORDERED[random.nextInt(ORDERED.length)]);
        }
        writeOption(out, random.nextBoolean() ? GO : EXPORT_NAME);
        out.writeInt(0x25609513);
        out.writeInt(RawClient.READ);
        out.writeLong(1);
        out.writeLong(0);
        out.writeInt(512);
        return said.toByteArray();
    }

    private static void writeOption(DataOutputStream out, int code) throws IOException {
        byte[] data = meaningfulData(code);
        out.writeLong(0x49484156454f5054L);
        out.writeInt(code);
        out.writeInt(data.length);
        out.write(data);
    }
}
