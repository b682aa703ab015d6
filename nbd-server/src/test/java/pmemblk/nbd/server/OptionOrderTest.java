package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import pmemblk.nbd.protocol.ReplyForm;

/**
 * Every order of options: each is answered by what was agreed before, and so is what comes then.
 */
class OptionOrderTest extends OptionFixture {
    private static final int LONGEST = 4;
    private static final int UNKNOWN = 99;
    private static final int EINVAL = 22;

    /** Those that end the handshake, and the others. */
    private static final List<Integer> LAST = List.of(ABORT, GO, EXPORT_NAME);

    private static final List<Integer> MIDDLE =
            List.of(
                    LIST,
                    INFO,
                    STRUCTURED_REPLY,
                    EXTENDED_HEADERS,
                    LIST_META_CONTEXT,
                    SET_META_CONTEXT,
                    STARTTLS,
                    UNKNOWN);

    /** What STARTTLS goes on in TLS by; null if it is refused. */
    @Nullable SSLContext upgrade() {
        return null;
    }

    /** Whether to try this one. */
    boolean isWanted(List<Integer> order) {
        return true;
    }

    /** What a client has agreed on so far. */
    private static final class Agreed {
        private ReplyForm form = ReplyForm.SIMPLE;
        private boolean context;

        /** The replies that an option has. */
        List<Integer> replies(int code) {
            return switch (code) {
                case LIST -> List.of(SERVER, ACK);
                case INFO, GO -> List.of(REP_INFO, ACK);
                case STRUCTURED_REPLY -> {
                    if (form == ReplyForm.EXTENDED) {
                        yield List.of(ERR_EXT_HEADER_REQD);
                    }
                    form = ReplyForm.STRUCTURED;
                    yield List.of(ACK);
                }
                case EXTENDED_HEADERS -> {
                    form = ReplyForm.EXTENDED;
                    yield List.of(ACK);
                }
                case LIST_META_CONTEXT, SET_META_CONTEXT -> {
                    boolean chunks = form != ReplyForm.SIMPLE;
                    context = code == SET_META_CONTEXT ? chunks : context;
                    yield chunks ? List.of(META_CONTEXT, ACK) : List.of(ERR_INVALID);
                }
                case ABORT -> List.of(ACK);
                default -> List.of(ERR_UNSUP);
            };
        }
    }

    @Test
    void cve2019_14851EveryOrderOfUpToFourOptionsIsAnsweredAsAgreed() throws IOException {
        int tried = tryOrders(new ArrayList<>());
        assertTrue(tried > 1000, () -> "no more than " + tried);
    }

    /** Tries all orders that begin like this; one that goes on is part of a longer one. */
    private int tryOrders(List<Integer> begun) throws IOException {
        int tried = 0;
        for (int last : LAST) {
            tried += tryOrder(begun, last);
        }
        for (int next : MIDDLE) {
            if (begun.size() == LONGEST - 1) {
                tried += tryOrder(begun, next);
            } else {
                begun.add(next);
                tried += tryOrders(begun);
                begun.removeLast();
            }
        }
        return tried;
    }

    private int tryOrder(List<Integer> begun, int last) throws IOException {
        List<Integer> order = new ArrayList<>(begun);
        order.add(last);
        if (!isWanted(order)) {
            return 0;
        }
        try (RawClient client = new RawClient(server)) {
            client.greet();
            Agreed agreed = new Agreed();
            boolean encrypted = RawClient.tls != null;
            for (int code : order) {
                SSLContext tls = upgrade();
                if (code != STARTTLS) {
                    tryOption(client, code, agreed);
                } else if (tls != null && !encrypted) {
                    client.startTls(tls);
                    agreed = new Agreed();
                    encrypted = true;
                } else {
                    client.option(STARTTLS, NOTHING);
                    int refusal = encrypted ? ERR_INVALID : ERR_POLICY;
                    assertEquals(List.of(refusal), replies(client, STARTTLS));
                }
            }
        } catch (AssertionError | IOException e) {
            throw new AssertionError("options " + order, e);
        }
        return 1;
    }

    private static void tryOption(RawClient client, int code, Agreed agreed) throws IOException {
        client.option(code, dataOf(code));
        if (code != EXPORT_NAME) {
            assertEquals(agreed.replies(code), replies(client, code));
        } else if (agreed.form != ReplyForm.EXTENDED) {
            client.in.skipNBytes(10);
        }
        if (code == ABORT || (code == EXPORT_NAME && agreed.form == ReplyForm.EXTENDED)) {
            assertEquals(-1, client.in.read());
        } else if (code == GO || code == EXPORT_NAME) {
            requireTransmission(client, agreed);
        }
    }

    /** Requests are answered in the form that was agreed on, and BLOCK_STATUS if a context was. */
    private static void requireTransmission(RawClient client, Agreed agreed) throws IOException {
        client.assume(agreed.form);
        client.request(RawClient.READ, 0, 512, 512, 512);
        boolean simple = agreed.form == ReplyForm.SIMPLE;
        if (simple) {
            assertEquals(0, client.reply(512, new byte[512]));
            assertEquals(EINVAL, client.call(RawClient.BLOCK_STATUS, 0, 0, 512, NOTHING));
            return;
        }
        assertEquals("[data at 512 of 512]", client.chunks(512).toString());
        boolean told = client.status(0, 512, 512).toString().contains("context 1: 512/0");
        assertEquals(agreed.context, told);
    }
}
