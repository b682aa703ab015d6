package pmemblk.nbd.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import pmemblk.nbd.protocol.Limits;

/**
 * What brought other NBD servers down, by the name that it became known by. Those that tests of
 * other classes are about bear their names there; doc/protocol.md has them all.
 */
@Timeout(60)
class KnownVulnerabilitiesTest {
    private static final int EXPORT_NAME = 1;
    private static final int INFO = 6;
    private static final int GO = 7;
    private static final int LIST_META_CONTEXT = 9;
    private static final int SET_META_CONTEXT = 10;
    private static final int ACK = 1;
    private static final int ERR_INVALID = 0x8000_0003;
    private static final int ERR_UNKNOWN = 0x8000_0006;
    private static final int EINVAL = 22;
    private static final int BLOCK = 4096;

    @TempDir private Path folder;
    private PoolServer served;
    private RawClient good;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        served = new PoolServer(folder, BLOCK, 17 << 20);
        good = RawClient.transmitting(served.server);
    }

    /** Another client has been served all along. */
    @AfterEach
    void stop() throws IOException {
        requireServing();
        good.close();
        served.close();
    }

    private void requireServing() throws IOException {
        assertEquals(0, good.call(RawClient.READ, 0, 0, 512, new byte[512]));
    }

    private RawClient greeted() throws IOException {
        RawClient client = new RawClient(served.server);
        client.greet();
        return client;
    }

    /** nbd-server trusted the length of a request, in 2005 and again in 2011. */
    @ParameterizedTest
    @ValueSource(longs = {(32 << 20) + 1, 1L << 31, (1L << 32) - 1})
    void cve2005_3534LengthOfARequestIsBounded(long length) throws IOException {
        try (RawClient client = RawClient.transmitting(served.server)) {
            client.request(RawClient.READ, 0, 1, 0, length);
            assertEquals(EINVAL, client.reply(1, new byte[0]));
            client.request(RawClient.READ, 0, 2, Long.MAX_VALUE, length);
            assertEquals(EINVAL, client.reply(2, new byte[0]));
            client.request(RawClient.WRITE, 0, 3, 0, length);
            if (length > 64 << 20) {
                assertTrue(client.isHungUp());
            } else {
                client.out.write(new byte[(int) length]);
                assertEquals(EINVAL, client.reply(3, new byte[0]));
                assertEquals(0, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
            }
        }
    }

    /** nbd-server ended as a whole when an export was unknown. */
    @Test
    void cve2013_7441UnknownExportsEndNobodyElse() throws IOException {
        for (int i = 0; i < 100; i++) {
            try (RawClient client = greeted()) {
                client.option(EXPORT_NAME, ("nobody" + i).getBytes(UTF_8));
                assertTrue(client.isHungUp());
            }
            requireServing();
        }
    }

    /** qemu-nbd was not ready for clients that spoke before they were greeted, or did not speak. */
    @Test
    void cve2017_9524ClientsMaySpeakFirstOrNever() throws IOException {
        try (RawClient hasty = new RawClient(served.server);
                RawClient silent = new RawClient(served.server)) {
            hasty.out.writeInt(3);
            hasty.out.flush();
            hasty.in.skipNBytes(18);
            hasty.go("disk");
            silent.in.skipNBytes(18);
            requireServing();
        }
    }

    /** qemu-nbd took requests, replies and what not for options. */
    @Test
    void cve2017_7539MessagesOfAnotherPhaseHangUp() throws IOException {
        for (long magic : new long[] {0x25609513L << 32, 0x67446698L << 32, 0x4e42444d41474943L}) {
            try (RawClient client = greeted()) {
                client.out.writeLong(magic);
                client.out.writeLong(0);
                client.out.flush();
                assertTrue(client.isHungUp());
            }
        }
        try (RawClient client = RawClient.transmitting(served.server)) {
            client.option(GO, new byte[12]);
            assertTrue(client.isHungUp());
        }
    }

    /** qemu-nbd copied names of up to 4096 bytes into 256. */
    @ParameterizedTest
    @ValueSource(ints = {255, 256, 257, 4095, 4096, 4097})
    void cve2017_15118NamesOfAnyLengthAreTakenOrRefused(int length) throws IOException {
        String name = "n".repeat(length);
        int refusal = length > 4096 ? ERR_INVALID : ERR_UNKNOWN;
        try (RawClient client = greeted()) {
            assertEquals(refusal, client.info(INFO, name));
            assertEquals(refusal, client.info(GO, name));
            client.structured();
            assertEquals(
                    List.of("error " + (refusal & 0xff)),
                    client.contexts(true, name, "base:allocation"));
            client.option(EXPORT_NAME, name.getBytes(UTF_8));
            assertTrue(client.isHungUp());
        }
    }

    /** qemu-nbd repeated the name in an error message that had no room for it. */
    @ParameterizedTest
    @ValueSource(strings = {"n", "€"})
    void cve2020_10761LongestNameIsRefusedInShort(String letter) throws IOException {
        int most = letter.equals("n") ? 4096 : 4096 / 3;
        String name = letter.repeat(most);
        String shown = "'" + letter.repeat(Limits.NAME_SHOWN) + "…'";
        byte[] bytes = name.getBytes(UTF_8);
        byte[] data = ByteBuffer.allocate(8 + bytes.length).putInt(bytes.length).put(bytes).array();
        try (RawClient client = greeted()) {
            client.structured();
            for (int option : new int[] {INFO, GO}) {
                client.option(option, Arrays.copyOf(data, data.length - 2));
                assertEquals("no export is named " + shown, refusal(client));
            }
            for (int option : new int[] {LIST_META_CONTEXT, SET_META_CONTEXT}) {
                client.option(option, data);
                assertEquals("no export is named " + shown, refusal(client));
            }
            client.option(EXPORT_NAME, bytes);
            assertTrue(client.isHungUp());
        }
    }

    /** The text of an option's only reply, which is an error. */
    private static String refusal(RawClient client) throws IOException {
        client.in.skipNBytes(12);
        assertTrue(client.in.readInt() < 0);
        int length = client.in.readInt();
        assertTrue(length <= 4096);
        return new String(client.in.readNBytes(length), UTF_8);
    }

    /** nbd-server added one to the length of a name, and came to 0. */
    @Test
    void cve2022_26495NameMayNotBeLongerThanItsOption() throws IOException {
        for (int nameLength : new int[] {-1, -2, Integer.MIN_VALUE, Integer.MAX_VALUE, 7}) {
            try (RawClient client = greeted()) {
                client.structured();
                for (int option : new int[] {INFO, GO, SET_META_CONTEXT}) {
                    byte[] data = ByteBuffer.allocate(10).putInt(nameLength).array();
                    client.option(option, data);
                    assertEquals(ERR_INVALID, client.optionReply());
                }
                client.go("disk");
            }
        }
    }

    /** nbd-server read options of any length into 1024 bytes. */
    @Test
    void cve2022_26496CountOfInformationHasToFit() throws IOException {
        for (int count : new int[] {1, 2, 3, 1024, 65_535}) {
            for (int follow : new int[] {0, 1, 4, 5000}) {
                if (2 * count == follow) {
                    continue;
                }
                byte[] data = new byte[10 + follow];
                ByteBuffer.wrap(data).putInt(4).put("disk".getBytes(UTF_8)).putShort((short) count);
                try (RawClient client = greeted()) {
                    client.option(GO, data);
                    assertEquals(ERR_INVALID, client.optionReply());
                    assertEquals(ACK, client.info(INFO, "disk"));
                }
            }
        }
    }

    /** nbdkit failed on its own assertions when it was asked for the status of a large range. */
    @Test
    void cve2025_47711And47712StatusOfLargeRangesAddsUp() throws IOException {
        try (RawClient client = served.structured()) {
            client.contexts(true, "disk", "base:allocation");
            client.go("disk");
            long size = client.size;
            served.write(1, 7);
            for (long length : new long[] {1, BLOCK, BLOCK + 1, size - 1, size}) {
                assertEquals(length, told(client.status(0, 0, length)));
                long only = told(client.status(1 << 3, 0, length));
                assertTrue(only > 0 && only <= length);
            }
            for (long length : new long[] {size + 1, (1L << 32) - BLOCK, (1L << 32) - 1, 0}) {
                List<RawClient.Received> refused = client.status(0, 0, length);
                assertEquals(EINVAL, refused.getLast().payload().getInt(0));
            }
        }
    }

    /** The bytes that the extents of a reply are of. */
    private static long told(List<RawClient.Received> chunks) {
        ByteBuffer payload = chunks.getFirst().payload();
        long total = 0;
        for (int at = 4; at < payload.capacity(); at += 8) {
            total += Integer.toUnsignedLong(payload.getInt(at));
        }
        return total;
    }
}
