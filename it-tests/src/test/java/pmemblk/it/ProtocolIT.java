package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Structured replies and metadata contexts, to the clients that know how to ask. */
class ProtocolIT {
    private static final int BLOCK = 4096;

    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    /**
     * A pool whose first four blocks hold data but for the second, which is zeroed, and whose sixth
     * is in the error state; all else was never written.
     */
    private Path patchyPool() throws IOException, InterruptedException {
        Path pool = Pools.create(directory, "disk.pool", BLOCK);
        for (int block = 0; block < 4; block++) {
            Command.pmemblkNbd("block write", pool, block).input(new byte[] {1, 2, 3}).succeed();
        }
        Command.pmemblkNbd("block zero", pool, 1).succeed();
        Command.pmemblkNbd("block error", pool, 5).succeed();
        return pool;
    }

    private static ServerProcess serve(Path pool) throws IOException, InterruptedException {
        return ServerProcess.start(1, "--listen 127.0.0.1:0", pool);
    }

    /** The extents that nbdinfo prints: where, how long, which status. */
    private static List<String> map(String context, ServerProcess server) throws Exception {
        String printed = Command.of("nbdinfo --map=" + context, server.uri()).succeed().output();
        return printed.lines().map(line -> line.strip().replaceAll(" +", " ")).toList();
    }

    @Test
    void nbdinfoMapsZeroesErrorsAndTheAtomicUnit() throws Exception {
        Path pool = patchyPool();
        long size = Pools.diskSize(pool);

        try (ServerProcess server = serve(pool)) {
            assertEquals(
                    List.of(
                            "0 4096 0 data",
                            "4096 4096 2 zero",
                            "8192 8192 0 data",
                            "16384 4096 2 zero",
                            "20480 4096 0 data",
                            "24576 %d 2 zero".formatted(size - 24576)),
                    map("base:allocation", server));
            assertEquals(
                    List.of("0 20480 0", "20480 4096 1", "24576 %d 0".formatted(size - 24576)),
                    map("x-pmemblk:state", server));
            assertEquals(
                    List.of("0 %d 4096".formatted(size)), map("x-pmemblk:atomic-unit", server));
            String json = Command.of("nbdinfo --json", server.uri()).succeed().output();
            for (String member :
                    new String[] {
                        "\"can_df\": true",
                        "\"base:allocation\",",
                        "\"x-pmemblk:state\",",
                        "\"x-pmemblk:atomic-unit\"",
                        "\"block_size_minimum\": 1",
                        "\"block_size_preferred\": 4096",
                        "\"block_size_maximum\": 33554432",
                        "blocks of 4096 bytes, each written whole or not at all"
                    }) {
                assertTrue(json.contains(member), () -> "no " + member + " in " + json);
            }
            Command.of("nbdinfo --can structured", server.uri()).succeed();
        }
    }

    @Test
    void sparsePoolIsCopiedAsSparse() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", BLOCK);
        Path source = directory.resolve("source");
        byte[] data = new byte[100_000];
        new SplittableRandom(7).nextBytes(data);
        try (RandomAccessFile file = new RandomAccessFile(source.toFile(), "rw")) {
            file.setLength(Pools.diskSize(pool));
            file.write(data);
            file.seek(5 << 20);
            file.write(data);
        }

        try (ServerProcess server = serve(pool)) {
            Path copy = directory.resolve("copy");
            Path converted = directory.resolve("converted");
            Command.of("nbdcopy --destination-is-zero", source, server.uri()).succeed();
            Command.of("nbdcopy", server.uri(), copy).succeed();
            Command.of("qemu-img convert -f raw -O raw", server.uri(), converted).succeed();

            assertEquals(-1, Files.mismatch(source, copy));
            assertEquals(-1, Files.mismatch(source, converted));
            Command.of("qemu-img compare -f raw -F raw", server.uri(), copy).succeed();
            for (Path file : new Path[] {copy, converted}) {
                String blocks = Command.of("stat --format %b", file).succeed().output().strip();
                assertTrue(Integer.parseInt(blocks) < 2048, blocks);
            }
        }
    }

    /** As nbdcopy itself did not before CVE-2022-0485 was mended. */
    @ParameterizedTest
    @ValueSource(strings = {"nbdcopy", "nbdcopy --synchronous", "qemu-img convert -f raw -O raw"})
    void copyOfADiskWithAnErrorBlockIsAFailure(String copy) throws Exception {
        Path pool = patchyPool();

        try (ServerProcess server = serve(pool)) {
            Command.of(copy, server.uri(), directory.resolve("copy")).end(1);
            Command.of("qemu-io -f raw -c", "write -z 20480 4096", server.uri()).succeed();
            Command.of(copy, server.uri(), directory.resolve("copy")).succeed();
        }
    }

    @Test
    void qemuImgMapsWhatNbdinfoDoes() throws Exception {
        Path pool = patchyPool();

        try (ServerProcess server = serve(pool)) {
            String map = Command.of("qemu-img map --output=json", server.uri()).succeed().output();
            List<String> zeroes =
                    map.lines().filter(line -> line.contains("\"zero\": true")).toList();
            assertEquals(3, zeroes.size(), map);
            assertTrue(zeroes.getFirst().contains("\"start\": 4096, \"length\": 4096,"), map);
            assertTrue(zeroes.getLast().contains("\"start\": 24576,"), map);
        }
    }

    @Test
    void clientGetsWhatPrecedesAnErrorBlockAndItsOffset() throws Exception {
        Path pool = patchyPool();
        String script =
                """
                def chunk(data, offset, status, error):
                    print(offset, len(data), status, error.value)
                    return 0
                for flags in (0, nbd.CMD_FLAG_DF):
                    try:
                        h.pread_structured(8 * 4096, 4096, chunk, flags)
                    except nbd.Error as e:
                        print(e.errno)
                """;

        try (ServerProcess server = serve(pool)) {
            // The system's Python has the binding; another that is found first may not.
            String printed =
                    Command.of("nbdsh --uri", server.uri(), "-c", script)
                            .with("PATH", "/usr/bin:/bin")
                            .succeed()
                            .output();
            int data = 1;
            int hole = 2;
            int error = 3;
            assertEquals(
                    """
                    4096 4096 %2$d 0
                    8192 8192 %1$d 0
                    16384 4096 %2$d 0
                    20480 0 %3$d 5
                    EIO
                    4096 16384 %1$d 0
                    20480 0 %3$d 5
                    EIO
                    """
                            .formatted(data, hole, error),
                    printed);
        }
    }
}
