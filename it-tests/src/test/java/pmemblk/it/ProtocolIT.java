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

    /** As nbdcopy itself did not see before this was mended. */
    @ParameterizedTest
    @ValueSource(strings = {"nbdcopy", "nbdcopy --synchronous", "qemu-img convert -f raw -O raw"})
    void cve2022_0485CopyOfADiskWithAnErrorBlockIsAFailure(String copy) throws Exception {
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

    /** Runs a script of nbdsh, whose handle it names h. */
    private static String nbdsh(String script) throws Exception {
        // The system's Python has the binding; another that is found first may not.
        return Command.of("nbdsh -c", script).with("PATH", "/usr/bin:/bin").succeed().output();
    }

    @Test
    void clientIsToldOfAllThereIsOptionByOption() throws Exception {
        Path pool = patchyPool();

        try (ServerProcess server = serve(pool)) {
            String printed =
                    nbdsh(
                            """
                            h.set_opt_mode(True)
                            h.connect_tcp('127.0.0.1', '%d')
                            h.opt_list(lambda name, description: print(name, '/', description) or 0)
                            h.set_export_name('disk')
                            h.set_full_info(True)
                            h.opt_list_meta_context(lambda name: print(name) or 0)
                            for name in ('base:allocation', 'x-pmemblk:state', 'x-other:'):
                                h.add_meta_context(name)
                            h.opt_info()
                            print(h.get_canonical_export_name(), h.get_export_description())
                            h.opt_go()
                            print([h.can_meta_context(name) for name in
                                   ('base:allocation', 'x-pmemblk:state', 'x-pmemblk:atomic-unit')])
                            print([h.get_block_size(size) for size in range(3)])
                            print(h.can_df(), h.can_cache(), h.can_fast_zero(), h.can_multi_conn())
                            def extents(name, offset, entries, error):
                                print(name, offset, entries, error.value)
                                return 0
                            h.block_status(6 * 4096, 0, extents)
                            h.block_status(6 * 4096, 0, extents, nbd.CMD_FLAG_REQ_ONE)
                            h.shutdown()
                            """
                                    .formatted(server.address().getPort()));

            String what = "pmemblk pool: blocks of 4096 bytes, each written whole or not at all";
            assertEquals(
                    """
                    disk / %1$s
                    base:allocation
                    x-pmemblk:state
                    x-pmemblk:atomic-unit
                    disk %1$s
                    [True, True, False]
                    [1, 4096, 33554432]
                    True True True True
                    base:allocation 0 [4096, 0, 4096, 2, 8192, 0, 4096, 2, 4096, 0] 0
                    x-pmemblk:state 0 [20480, 0, 4096, 1] 0
                    base:allocation 0 [4096, 0] 0
                    x-pmemblk:state 0 [4096, 0] 0
                    """
                            .formatted(what),
                    printed);
        }
    }

    /** As old clients are: no options, padding, simple replies. */
    @Test
    void clientOfPlainNewstyleReadsAndWrites() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", BLOCK);

        try (ServerProcess server = serve(pool)) {
            String printed =
                    nbdsh(
                            """
                            h.set_handshake_flags(0)
                            h.connect_uri('%s')
                            print(h.get_protocol(), h.get_structured_replies_negotiated())
                            h.pwrite(b'before', 4090, nbd.CMD_FLAG_FUA)
                            h.zero(3, 4093)
                            h.trim(4096, 8192)
                            h.flush()
                            print(h.pread(8, 4089))
                            try:
                                h.block_status(4096, 0, lambda *extents: 0)
                            except nbd.Error as e:
                                print('no status')
                            h.shutdown()
                            """
                                    .formatted(server.uri()));

            assertEquals(
                    """
                    newstyle False
                    bytearray(b'\\x00bef\\x00\\x00\\x00\\x00')
                    no status
                    """,
                    printed);
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
            String printed = nbdsh("h.connect_uri('%s')\n".formatted(server.uri()) + script);
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
