package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import pmemblk.nbd.protocol.ReplyForm;

/**
 * Every option with data of every length, against what the section "Option types" of the protocol's
 * document allows.
 */
class OptionTableTest extends OptionFixture {
    private static final long[] LENGTHS = {
        0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 4095, 4096, 4097, 65_536, 1L << 31, (1L << 32) - 1
    };

    /** Above it this project hangs up. */
    private static final long LONGEST = 65_536;

    /** What an option of meaningless data, zeroes or noise, may be answered with. */
    private static List<Integer> allowed(int code, long length, boolean zeroes, ReplyForm form) {
        if (length > LONGEST) {
            return List.of(HANGS_UP);
        }
        boolean empty = length == 0;
        return switch (code) {
            case EXPORT_NAME -> empty && form != ReplyForm.EXTENDED ? List.of() : List.of(HANGS_UP);
            case ABORT -> List.of(ACK);
            case LIST, EXTENDED_HEADERS -> List.of(empty ? ACK : ERR_INVALID);
            case STRUCTURED_REPLY ->
                    List.of(
                            !empty
                                    ? ERR_INVALID
                                    : form == ReplyForm.EXTENDED ? ERR_EXT_HEADER_REQD : ACK);
            // Not offered, or begun.
            case STARTTLS ->
                    empty && RawClient.tls == null
                            ? List.of(ERR_POLICY)
                            : List.of(ERR_INVALID, ERR_POLICY);
            case INFO, GO -> List.of(ERR_INVALID);
            // Eight zeroes are the default export and no query.
            case LIST_META_CONTEXT, SET_META_CONTEXT ->
                    List.of(length == 8 && zeroes && form != ReplyForm.SIMPLE ? ACK : ERR_INVALID);
            default -> List.of(ERR_UNSUP);
        };
    }

    @ParameterizedTest
    @EnumSource
    void everyOptionWithDataOfEveryLengthIsAnsweredAsItMayBe(ReplyForm form) throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        int[] codes = IntStream.concat(IntStream.rangeClosed(0, 20), IntStream.of(-1)).toArray();
        for (int code : codes) {
            for (long length : LENGTHS) {
                for (boolean zeroes : new boolean[] {true, false}) {
                    byte[] data = new byte[(int) Math.min(length, LONGEST)];
                    if (!zeroes) {
                        random.nextBytes(data);
                    }
                    try (RawClient client = new RawClient(server)) {
                        client.greet();
                        client.agree(form);
                        tryOption(client, code, length, data, allowed(code, length, zeroes, form));
                    } catch (AssertionError | IOException e) {
                        throw new AssertionError(
                                "option %d of %d bytes, zeroes: %b".formatted(code, length, zeroes),
                                e);
                    }
                }
            }
        }
    }

    /**
     * Tries one.
     *
     * @param allowed the types that its last reply may have; none if there is no reply
     */
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
        if (allowed.isEmpty()) {
            client.in.skipNBytes(10);
            client.request(RawClient.TRIM, 0, 7, 0, 0);
            client.out.flush();
            assertTrue(client.in.read() >= 0);
            return;
        }
        int type = replies(client, code).getLast();
        assertTrue(allowed.contains(type), () -> "%#x is not of %s".formatted(type, allowed));
        if (code == ABORT && type == ACK) {
            assertEquals(List.of(HANGS_UP), replies(client, code));
        } else if (type != HANGS_UP) {
            client.option(LIST, NOTHING);
            assertEquals(List.of(SERVER, ACK), replies(client, LIST));
            client.go("disk");
        }
    }
}
