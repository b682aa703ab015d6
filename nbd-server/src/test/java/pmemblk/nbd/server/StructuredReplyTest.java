package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.server.RawClient.Received;
import pmemblk.pool.BlockPool;

/** What a client reads from a pool that asked for structured replies. */
@Timeout(60)
class StructuredReplyTest {
    private static final int BLOCK = 512;
    private static final int DF = 4;

    @TempDir private Path folder;

    private PoolServer server;
    private BlockPool pool;
    private RawClient client;

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @BeforeEach
    void start() throws IOException {
        server = new PoolServer(folder, BLOCK, 48 << 20);
        pool = server.pool;
        client = server.structured();
        client.go("disk");
    }

    @AfterEach
    void stop() throws IOException {
        client.close();
        server.close();
    }

    private static byte[] filled(int size, int value) {
        byte[] bytes = new byte[size];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }

    private List<String> chunks(int flags, long offset, long length) throws IOException {
        return client.read(flags, offset, length).stream().map(Received::toString).toList();
    }

    @Test
    void oneBlockIsOneChunkOfDataOrAHole() throws IOException {
        server.write(3, 7);

        List<Received> data = client.read(0, 3 * BLOCK, BLOCK);
        assertEquals("[data at 1536 of 512]", data.toString());
        assertArrayEquals(filled(BLOCK, 7), data.getFirst().data());
        assertEquals(List.of("hole at 2048 of 512"), chunks(0, 4 * BLOCK, BLOCK));
        assertEquals(0b1101_1110_1101, client.flags);
    }

    @Test
    void zeroedAndNeverWrittenBlocksAreHolesAmongTheData() throws IOException {
        server.write(0, 1);
        server.write(3, 3);
        server.write(4, 4);
        server.write(5, 5);
        pool.setZero(4);

        assertEquals(
                List.of(
                        "data at 10 of 502",
                        "hole at 512 of 1024",
                        "data at 1536 of 512",
                        "hole at 2048 of 512",
                        "data at 2560 of 512",
                        "hole at 3072 of 1000"),
                chunks(0, 10, 6 * BLOCK + 990));
    }

    @Test
    void zeroesTooFewToBeWorthAHeaderAreSentAsData() throws IOException {
        server.write(1, 1);
        server.write(3, 3);

        assertEquals(List.of("data at 512 of 612"), chunks(0, BLOCK, BLOCK + 100));
        assertEquals(List.of("hole at 1034 of 20"), chunks(0, 2 * BLOCK + 10, 20));
        List<Received> reply = client.read(0, 1, 3 * BLOCK - 1 + 511);

        assertEquals(
                "[data at 1 of 1023, hole at 1024 of 512, data at 1536 of 511]", reply.toString());
        byte[] expected = new byte[1023];
        Arrays.fill(expected, 511, 1023, (byte) 1);
        assertArrayEquals(expected, reply.getFirst().data());
    }

    @Test
    void dataIsNotFragmentedWhereTheClientSaysSo() throws IOException {
        server.write(1, 1);

        List<Received> reply = client.read(DF, 0, 3 * BLOCK);

        assertEquals("[data at 0 of 1536]", reply.toString());
        assertArrayEquals(
                Arrays.copyOfRange(filled(BLOCK, 1), 0, BLOCK),
                Arrays.copyOfRange(reply.getFirst().data(), BLOCK, 2 * BLOCK));
        assertEquals(List.of("data at 0 of 512"), chunks(DF, 0, BLOCK));
    }

    @Test
    void errorIsToldAtItsPlaceBehindWhatWasReadBefore() throws IOException {
        server.write(1, 1);
        pool.setError(2);
        server.write(3, 3);
        String error =
                "error 5 at 1024: block 2 is in the error state; writing or zeroing it clears that";

        assertEquals(
                List.of("hole at 0 of 512", "data at 512 of 512", error), chunks(0, 0, 4 * BLOCK));
        assertEquals(List.of("data at 0 of 1024", error), chunks(DF, 0, 4 * BLOCK));
        assertEquals(List.of(error.replace("1024", "1030")), chunks(0, 2 * BLOCK + 6, 4 * BLOCK));
    }

    @Test
    void refusalsSayWhyInAChunk() throws IOException {
        assertEquals(
                List.of(
                        "error 22: the range does not lie within the %d bytes"
                                .formatted(pool.byteSize())),
                chunks(0, pool.byteSize(), 1));
        assertEquals(
                List.of("error 75: a READ is of at most 33554432 bytes"),
                chunks(0, 0, Limits.PAYLOAD + 1));
        assertEquals(List.of("error 22: READ takes no command flags 0x8000"), chunks(0x8000, 0, 1));
        client.request(RawClient.TRIM, 0, 5, pool.byteSize(), 1);
        assertEquals(1, client.chunks(5).size());
    }

    @Test
    void successWithoutDataIsSimple() throws IOException {
        assertEquals(0, client.call(RawClient.WRITE, 0, 0, 3, new byte[3]));
        assertEquals(0, client.call(RawClient.FLUSH, 0, 0, 0, new byte[0]));
    }

    @Test
    void readOfNothingIsAnsweredWithNothing() throws IOException {
        assertEquals(List.of("done"), chunks(0, 5, 0));
    }

    @Test
    void largestReadOfAlternatingBlocksIsReassembled() throws IOException {
        byte[] model = new byte[Limits.PAYLOAD];
        SplittableRandom random = new SplittableRandom(5);
        for (int block = 0; block < model.length / BLOCK; block += 1 + random.nextInt(400)) {
            server.write(block, block | 1);
            Arrays.fill(model, block * BLOCK, (block + 1) * BLOCK, (byte) (block | 1));
        }

        byte[] read = new byte[model.length];
        long at = 0;
        for (Received chunk : client.read(0, 0, model.length)) {
            assertEquals(at, chunk.payload().getLong(0));
            boolean hole = chunk.type() == 2;
            byte[] data = hole ? new byte[chunk.payload().getInt(8)] : chunk.data();
            System.arraycopy(data, 0, read, (int) at, data.length);
            at += data.length;
        }

        assertEquals(model.length, at);
        assertArrayEquals(model, read);
    }
}
