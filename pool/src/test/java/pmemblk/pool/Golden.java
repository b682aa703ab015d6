package pmemblk.pool;

import com.google.gson.Gson;
import com.google.gson.annotations.SerializedName;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/** The pools that libpmemblk wrote, and what it says of them. */
final class Golden {
    static final Manifest MANIFEST = readManifest();

    private Golden() {}

    record Manifest(List<Pool> pools, List<Geometry> geometry) {}

    record Geometry(long poolsize, long bsize, @Nullable Long nblock, @Nullable String errno) {}

    /** One pool; {@code file} names two where it is a set. */
    record Pool(
            String file,
            String storage,
            long size,
            int bsize,
            long nblock,
            Expectation expect,
            List<Block> blocks,
            @Nullable String poolset) {
        @Override
        public String toString() {
            return file;
        }
    }

    record Expectation(
            String open,
            @Nullable String write,
            @SerializedName("pmemblk_check") int check,
            @SerializedName("pmempool_check") String pmempool) {}

    record Block(long lba, String state, @Nullable Integer fill, @Nullable Long prng) {

        /** What the block holds, if it can be read. */
        byte[] content(int size) {
            byte[] bytes = new byte[size];
            if (fill != null) {
                Arrays.fill(bytes, fill.byteValue());
            } else if (prng != null) {
                fillRandomly(bytes, prng);
            }
            return bytes;
        }

        /** The generator splitmix64. */
        private static void fillRandomly(byte[] bytes, long seed) {
            long state = seed;
            ByteBuffer words = ByteBuffer.allocate(bytes.length + 8).order(ByteOrder.LITTLE_ENDIAN);
            while (words.position() < bytes.length) {
                state += 0x9e3779b97f4a7c15L;
                long z = (state ^ state >>> 30) * 0xbf58476d1ce4e5b9L;
                z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
                words.putLong(z ^ z >>> 31);
            }
            System.arraycopy(words.array(), 0, bytes, 0, bytes.length);
        }
    }

    private static Manifest readManifest() {
        try (Reader reader =
                new InputStreamReader(resource("manifest.json"), StandardCharsets.UTF_8)) {
            return new Gson().fromJson(reader, Manifest.class);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static InputStream resource(String name) throws IOException {
        InputStream in = Golden.class.getResourceAsStream("/golden/" + name);
        if (in == null) {
            throw new IOException("no golden file " + name);
        }
        return in;
    }

    static Pool named(String file) {
        return MANIFEST.pools.stream()
                .filter(pool -> pool.file.equals(file))
                .findFirst()
                .orElseThrow();
    }

    /** Unpacks a pool into a folder; returns the path to open it by. */
    static Path unpack(Pool pool, Path folder) throws IOException {
        String text = pool.poolset;
        for (String packed : pool.file.split(" ", -1)) {
            Path path = folder.resolve(packed.replaceFirst("\\.(pool|extents)\\.gz$", ".pool"));
            try (InputStream in = new GZIPInputStream(resource(packed))) {
                if (pool.storage.equals("gzip-extents")) {
                    unpackExtents(in, path, pool.size);
                } else {
                    Files.copy(in, path);
                }
            }
            if (text == null) {
                return path;
            }
        }
        if (text == null) {
            throw new IllegalArgumentException(pool + " names no file");
        }
        return Files.writeString(
                folder.resolve("pool.set"), text.replace("@DIR@", folder.toString()));
    }

    private static void unpackExtents(InputStream in, Path path, long size) throws IOException {
        DataInputStream records = new DataInputStream(in);
        try (FileChannel file =
                FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(1), size - 1);
            while (true) {
                long offset = Long.reverseBytes(records.readLong());
                byte[] bytes = new byte[Integer.reverseBytes(records.readInt())];
                records.readFully(bytes);
                file.write(ByteBuffer.wrap(bytes), offset);
            }
        } catch (EOFException end) {
            // The records end with the file.
        }
    }
}
