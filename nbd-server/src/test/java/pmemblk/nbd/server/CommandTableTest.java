package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.protocol.ReplyForm;

/**
 * Every command with every flag and every pair of flags, on ranges at the edges of the export and
 * of numbers, against what the sections "Request types" and "Command flags" of the protocol's
 * document allow.
 */
@Timeout(180)
class CommandTableTest {
    private static final int DF = 1 << 2;
    private static final int FUA = 1;
    private static final int NO_HOLE = 1 << 1;
    private static final int REQ_ONE = 1 << 3;
    private static final int FAST_ZERO = 1 << 4;

    private static final int EINVAL = 22;
    private static final int ENOSPC = 28;
    private static final int EOVERFLOW = 75;
    private static final int ENOTSUP = 95;

    private static final int SIZE = 1 << 20;
    private static final int BLOCK = 4096;
    private static final long MAX_PAYLOAD = 32 << 20;

    private static final int[] COMMANDS = {0, 1, 3, 4, 5, 6, 7, 8, 9, 255, 65_535};

    /** Offset and length of each range. */
    private static final long[][] RANGES = {
        {0, 0},
        {0, 1},
        {0, BLOCK},
        {1, BLOCK - 1},
        {BLOCK - 1, 2},
        {BLOCK, 2 * BLOCK},
        {0, SIZE},
        {SIZE - 1, 1},
        {SIZE - 1, 2},
        {SIZE - BLOCK, BLOCK + 1},
        {SIZE, 0},
        {SIZE, 1},
        {0, (1L << 32) - 1},
        {1, SIZE},
        {Long.MAX_VALUE, 1},
        {Long.MAX_VALUE, (1L << 32) - 1},
        {Long.MIN_VALUE, 1},
        {-1, 1},
        {-1, (1L << 32) - 1},
    };

    /** Lengths that only extended headers have room for. */
    private static final long[][] LONG_RANGES = {
        {0, 1L << 32}, {0, Long.MAX_VALUE}, {0, Long.MIN_VALUE}, {0, -1}, {SIZE, -1}, {-1, -1},
    };

    private NbdServer server;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new MemoryExport(SIZE, false));
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of());
        server = NbdServer.start(options.withTls(InTls.offered()), new Exports(exports));
    }

    @AfterEach
    void stop() {
        server.close();
    }

    /** No flag, each one, and each two of the sixteen. */
    private static List<Integer> flagSets() {
        List<Integer> sets = new ArrayList<>(List.of(0));
        for (int a = 0; a < 16; a++) {
            for (int b = 0; b <= a; b++) {
                sets.add(1 << a | 1 << b);
            }
        }
        return sets;
    }

    /** The errors that a request may have, 0 among them if it may succeed. */
    private static List<Integer> allowed(
            ReplyForm form, int command, int flags, long offset, long length) {
        int known =
                switch (command) {
                    case RawClient.READ -> form == ReplyForm.SIMPLE ? FUA : FUA | DF;
                    case RawClient.WRITE, RawClient.FLUSH, RawClient.TRIM, RawClient.CACHE -> FUA;
                    case RawClient.WRITE_ZEROES -> FUA | NO_HOLE | FAST_ZERO;
                    case RawClient.BLOCK_STATUS -> FUA | REQ_ONE;
                    default -> 0;
                };
        boolean inside = offset >= 0 && offset <= SIZE && length >= 0 && length <= SIZE - offset;
        if (command > RawClient.BLOCK_STATUS || (flags & ~known) != 0) {
            return List.of(EINVAL);
        }
        return switch (command) {
            case RawClient.FLUSH -> List.of(offset == 0 && length == 0 ? 0 : EINVAL);
            // A context is selected where there are replies for it.
            case RawClient.BLOCK_STATUS ->
                    List.of(form != ReplyForm.SIMPLE && inside && length > 0 ? 0 : EINVAL);
            case RawClient.READ ->
                    inside
                            ? List.of(0)
                            : length > MAX_PAYLOAD ? List.of(EINVAL, EOVERFLOW) : List.of(EINVAL);
            case RawClient.WRITE -> List.of(inside ? 0 : ENOSPC);
            case RawClient.WRITE_ZEROES ->
                    !inside
                            ? List.of(ENOSPC)
                            : (flags & FAST_ZERO) == 0 ? List.of(0) : List.of(0, ENOTSUP);
            default -> List.of(inside ? 0 : EINVAL);
        };
    }

    @ParameterizedTest
    @EnumSource
    void everyCommandWithEveryFlagOnEveryRangeIsAnsweredAsItMayBe(ReplyForm form)
            throws IOException {
        List<long[]> ranges = new ArrayList<>(List.of(RANGES));
        if (form == ReplyForm.EXTENDED) {
            ranges.addAll(List.of(LONG_RANGES));
        }
        try (RawClient client = new RawClient(server)) {
            transmit(client, form);
            int requests = 0;
            for (int command : COMMANDS) {
                for (int flags : flagSets()) {
                    for (long[] range : ranges) {
                        if (makesSense(form, command, flags, range[1])) {
                            requests++;
                            tryRequest(client, form, command, flags, range[0], range[1]);
                        }
                    }
                }
            }
            assertTrue(requests > 20_000, () -> "too few");
        }
    }

    private static void transmit(RawClient client, ReplyForm form) throws IOException {
        client.greet();
        client.agree(form);
        if (form != ReplyForm.SIMPLE) {
            client.contexts(true, "disk", "base:allocation");
        }
        client.go("disk");
    }

    private static boolean hasPayload(ReplyForm form, int command, int flags) {
        return command == RawClient.WRITE
                || (form == ReplyForm.EXTENDED && (flags & RawClient.PAYLOAD_LEN) != 0);
    }

    /** A payload that is too long is tried elsewhere. */
    private static boolean makesSense(ReplyForm form, int command, int flags, long length) {
        return !hasPayload(form, command, flags) || (length >= 0 && length <= 2 * SIZE);
    }

    private static void tryRequest(
            RawClient client, ReplyForm form, int command, int flags, long offset, long length)
            throws IOException {
        client.request(command, flags, offset, offset, length);
        if (hasPayload(form, command, flags)) {
            // To BLOCK_STATUS, the only other one that takes any, zeroes make no sense.
            client.out.write(new byte[(int) length]);
        }
        int sent =
                form == ReplyForm.EXTENDED && command == RawClient.WRITE
                        ? flags & ~RawClient.PAYLOAD_LEN
                        : flags;
        List<Integer> allowed = allowed(form, command, sent, offset, length);
        boolean reads = command == RawClient.READ && allowed.contains(0);
        int error =
                repliesSimply(client, form, command)
                        ? client.reply(offset, new byte[reads ? (int) length : 0])
                        : error(client.chunks(offset));
        assertTrue(
                allowed.contains(error),
                () ->
                        "command %d, flags %#x, %d bytes at %d: error %d is not of %s"
                                .formatted(command, flags, length, offset, error, allowed));
    }

    /** Whether the next reply is a simple one, as it may be if the command has no data. */
    private static boolean repliesSimply(RawClient client, ReplyForm form, int command)
            throws IOException {
        client.out.flush();
        if (form != ReplyForm.STRUCTURED || command == RawClient.READ) {
            return form == ReplyForm.SIMPLE;
        }
        client.in.mark(Integer.BYTES);
        int magic = client.in.readInt();
        client.in.reset();
        return magic == 0x67446698;
    }

    /** The error that the chunks of a reply say, or 0. */
    private static int error(List<RawClient.Received> chunks) {
        return chunks.stream()
                .filter(chunk -> chunk.type() >= 0x8000)
                .mapToInt(chunk -> chunk.payload().getInt(0))
                .findFirst()
                .orElse(0);
    }

    /** DISC is not answered, whatever there is to say against it. */
    @ParameterizedTest
    @EnumSource
    void disconnectWithEveryFlagEndsTheConnection(ReplyForm form) throws IOException {
        for (int flags : flagSets()) {
            try (RawClient client = new RawClient(server)) {
                transmit(client, form);
                client.request(RawClient.DISC, flags, 7, flags, 0);
                client.out.flush();
                assertEquals(-1, client.in.read());
            }
        }
    }
}
