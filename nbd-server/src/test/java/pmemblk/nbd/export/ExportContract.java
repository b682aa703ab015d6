package pmemblk.nbd.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What every export does. */
abstract class ExportContract {
    private Export export;

    /** A new disk of at least a mebibyte, all zeroes. */
    abstract Export open() throws IOException;

    @BeforeEach
    void openExport() throws IOException {
        export = open();
    }

    @AfterEach
    void closeExport() throws IOException {
        export.close();
    }

    private byte[] read(long offset, int length) throws IOException {
        ByteBuffer target = ByteBuffer.allocateDirect(length + 10).position(5).limit(5 + length);
        export.read(offset, target);
        assertEquals(5 + length, target.position());
        byte[] bytes = new byte[length];
        target.get(5, bytes);
        return bytes;
    }

    private void write(long offset, byte[] bytes) throws IOException {
        ByteBuffer source = ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
        export.write(offset, source.asReadOnlyBuffer());
    }

    @Test
    void infoDescribesAUsableDisk() {
        ExportInfo info = export.info();

        assertEquals(true, info.size() >= 1 << 20);
        assertEquals(1, Integer.bitCount(info.preferredBlockSize()));
        assertEquals(true, info.preferredBlockSize() >= 512);
        assertEquals(true, info.description().length() <= 4096);
    }

    @Test
    void aNewDiskReadsAsZeroesToItsLastByte() throws IOException {
        assertArrayEquals(new byte[1000], read(export.info().size() - 1000, 1000));
        assertArrayEquals(new byte[1], read(0, 1));
    }

    @Test
    void rangesOfAnyKindBehaveLikeAnArray() throws IOException {
        SplittableRandom random = new SplittableRandom(42);
        int size = 1 << 18;
        byte[] model = new byte[size];
        for (int i = 0; i < 2000; i++) {
            int offset = random.nextInt(size);
            int length = random.nextInt(Math.min(size - offset, 20_000) + 1);
            if (random.nextInt(100) == 0) {
                export.flushAsync(1).join();
            }
            switch (random.nextInt(3)) {
                case 0 -> {
                    byte[] bytes = new byte[length];
                    random.nextBytes(bytes);
                    write(offset, bytes);
                    System.arraycopy(bytes, 0, model, offset, length);
                }
                case 1 -> {
                    export.zero(offset, length);
                    Arrays.fill(model, offset, offset + length, (byte) 0);
                }
                default ->
                        assertArrayEquals(
                                Arrays.copyOfRange(model, offset, offset + length),
                                read(offset, length));
            }
        }
        export.flush();
        assertArrayEquals(model, read(0, size));
    }

    @Test
    void whatIsReadAtOnceIsWhatIsThere() throws IOException {
        byte[] bytes = new byte[20_000];
        new SplittableRandom(7).nextBytes(bytes);
        write(5000, bytes);
        byte[] found = read(4000, 30_000);

        ByteBuffer target = ByteBuffer.allocateDirect(30_000);
        boolean done = export.readNow(4000, target);

        // It was written just now, so it is in memory wherever the disk lies.
        assertEquals(true, done);
        assertEquals(ByteBuffer.wrap(found), target.flip());
    }

    @Test
    void trimLeavesNeighboursAlone() throws IOException {
        byte[] ones = new byte[64 << 10];
        Arrays.fill(ones, (byte) 1);
        write(0, ones);

        export.trim(10_000, 30_000);

        assertArrayEquals(Arrays.copyOf(ones, 10_000), read(0, 10_000));
        assertArrayEquals(Arrays.copyOf(ones, 1000), read(40_000, 1000));
    }
}
