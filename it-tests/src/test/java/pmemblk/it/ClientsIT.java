package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What people use to talk to an NBD server, each over TCP and over a Unix socket. */
class ClientsIT {
    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    /** The same pool over TCP and over a Unix socket: two URIs. */
    private ServerProcess serveBothWays(Path pool) throws IOException, InterruptedException {
        Path socket = directory.resolve("nbd.sock");
        return ServerProcess.start(2, "--listen 127.0.0.1:0 --unix", socket, pool);
    }

    @ParameterizedTest
    @ValueSource(ints = {512, 520, 4096, 65536})
    void nbdinfoShowsSizeAndAbilities(int blockSize) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", blockSize);
        long size = Pools.diskSize(pool);

        try (ServerProcess server = serveBothWays(pool)) {
            for (String uri : server.uris()) {
                assertEquals(size + "\n", Command.of("nbdinfo --size", uri).succeed().output());
                String json = Command.of("nbdinfo --json", uri).succeed().output();
                for (String member :
                        new String[] {
                            "\"export-name\": \"disk\"",
                            "\"export-size\": " + size,
                            "\"is_read_only\": false",
                            "\"can_flush\": true",
                            "\"can_fua\": true",
                            "\"can_trim\": true",
                            "\"can_zero\": true",
                            "\"can_multi_conn\": true",
                            "\"block_size_preferred\": "
                        }) {
                    assertTrue(json.contains(member), () -> "no " + member + " in " + json);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {512, 520, 4096, 65536})
    void nbdcopyWritesAndReadsTheWholeDisk(int blockSize) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", blockSize);
        Path source = Pools.randomFile(directory.resolve("source"), Pools.diskSize(pool));
        Path copy = directory.resolve("copy");

        try (ServerProcess server = serveBothWays(pool)) {
            String tcp = server.uris().get(0);
            String unix = server.uris().get(1);
            Command.of("nbdcopy", source, tcp).succeed();
            Command.of("nbdcopy --connections=1", unix, copy).succeed();
            assertEquals(-1, Files.mismatch(source, copy));
            Command.of("nbdcopy --connections=4 --threads=4", tcp, copy).succeed();
            assertEquals(-1, Files.mismatch(source, copy));
            Command.of("nbdcopy --destination-is-zero --flush", source, unix).succeed();
        }
        Pools.checkWithPmempool(pool);
    }

    @ParameterizedTest
    @ValueSource(ints = {512, 4096, 65536})
    void qemuImgConvertsAndCompares(int blockSize) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", blockSize);
        Path source = Pools.randomFile(directory.resolve("source"), Pools.diskSize(pool));
        Path copy = directory.resolve("copy.qcow2");

        try (ServerProcess server = serveBothWays(pool)) {
            for (String uri : server.uris()) {
                Command.of("qemu-img convert -n -f raw -O raw", source, uri).succeed();
                Command.of("qemu-img compare -f raw -F raw", source, uri).succeed();
                Command.of("qemu-img convert -f raw -O qcow2", uri, copy).succeed();
                Command.of("qemu-img compare -f raw -F qcow2", source, copy).succeed();
                Command.of("qemu-io -f raw -c", "write -P 0x5a 4096 1", uri).succeed();
                Command.of("qemu-img compare -f raw -F raw", source, uri).end(1);
            }
        }
        Pools.checkWithPmempool(pool);
    }

    @ParameterizedTest
    @ValueSource(ints = {512, 520, 4096, 65536})
    void qemuIoPatternsKeepTheirUnalignedEdges(int blockSize) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", blockSize);

        try (ServerProcess server = serveBothWays(pool)) {
            for (String uri : server.uris()) {
                Command.of(
                                "qemu-io",
                                "-f",
                                "raw",
                                "-c",
                                "write -P 0x11 0 1M",
                                "-c",
                                "write -P 0x22 5000 70001",
                                "-c",
                                "write -f -P 0x33 131071 2",
                                "-c",
                                "write -z 200001 100003",
                                "-c",
                                "discard 524288 262144",
                                "-c",
                                "write -P 0x44 786431 1",
                                "-c",
                                "flush",
                                "-c",
                                "read -P 0x11 0 5000",
                                "-c",
                                "read -P 0x22 5000 70001",
                                "-c",
                                "read -P 0x11 75001 56070",
                                "-c",
                                "read -P 0x33 131071 2",
                                "-c",
                                "read -P 0x11 131073 68928",
                                "-c",
                                "read -P 0 200001 100003",
                                "-c",
                                "read -P 0x11 300004 224284",
                                "-c",
                                "read -P 0 589824 131072",
                                "-c",
                                "read -P 0x44 786431 1",
                                "-c",
                                "read -P 0x11 786432 262144",
                                uri)
                        .succeed();
            }
        }
        Pools.checkWithPmempool(pool);
    }

    @ParameterizedTest
    @ValueSource(ints = {512, 520, 4096, 65536})
    void fioFindsEveryChecksumItWrote(int blockSize) throws Exception {
        Path pool = Pools.create(directory, "disk.pool", blockSize);

        try (ServerProcess server = serveBothWays(pool)) {
            for (String uri : server.uris()) {
                Command.of(
                                "fio",
                                "--name=verify",
                                "--ioengine=nbd",
                                "--uri=" + uri,
                                "--rw=randrw",
                                "--bsrange=512-64k",
                                "--bs_unaligned=0",
                                "--iodepth=16",
                                "--size=8m",
                                "--loops=2",
                                "--verify=crc32c",
                                "--verify_fatal=1",
                                "--do_verify=1")
                        .in(directory)
                        .succeed();
            }
        }
        Pools.checkWithPmempool(pool);
    }

    @Test
    void readOnlyExportIsReadAndNeverWritten() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        Path copy = directory.resolve("copy");

        try (ServerProcess server =
                ServerProcess.start(1, "--read-only --listen 127.0.0.1:0", pool)) {
            String uri = server.uri();
            String json = Command.of("nbdinfo --json", uri).succeed().output();
            assertTrue(json.contains("\"is_read_only\": true"), json);
            Command.of("nbdcopy", uri, copy).succeed();
            Command.of("qemu-io -f raw -c", "write 0 512", uri).end(1);
        }
        assertEquals(Pools.diskSize(pool), Files.size(copy));
    }

    @Test
    void severalPoolsAreExportsByNameAndTheFirstIsTheDefault() throws Exception {
        Path root = Pools.create(directory, "root.pool", 512);
        Path data = Pools.create(directory, "data.pool", 4096);
        Path odd = Pools.create(directory, "odd.pool", 520);
        String oddName = "spaced out & 100% Größe?";

        try (ServerProcess server =
                ServerProcess.start(
                        3, "--listen 127.0.0.1:0", "first=" + root, data, oddName + "=" + odd)) {
            int port = server.address().getPort();
            String listed = Command.of("nbd-client -l 127.0.0.1", port).succeed().output();
            List<String> names = listed.lines().map(line -> line.replaceFirst(": .*", "")).toList();
            assertEquals(List.of("first", "data", oddName), names.subList(1, 4), listed);
            assertTrue(listed.contains("first: pmemblk pool: blocks of 512 bytes"), listed);
            String json =
                    Command.of("nbdinfo --list --json", "nbd://127.0.0.1:" + port)
                            .succeed()
                            .output();
            assertTrue(json.contains("\"export-name\": \"data\""), json);

            Command.of("qemu-io -f raw -c", "write -P 1 0 1M", server.uris().get(0)).succeed();
            Command.of("qemu-io -f raw -c", "write -P 2 0 1M", server.uris().get(1)).succeed();
            Command.of("qemu-io -f raw -c", "read -P 1 0 1M", "nbd://127.0.0.1:" + port).succeed();
            Command.of("nbdinfo", server.uris().get(2)).succeed();
            Command.of("nbdinfo", "nbd://127.0.0.1:" + port + "/absent").end(1);
        }
        for (Path pool : new Path[] {root, data, odd}) {
            Pools.checkWithPmempool(pool);
        }
    }

    @Test
    void ordinaryFileServesAsTmpfsDoes(@TempDir(factory = Place.Disk.class) Path disk)
            throws Exception {
        Path pool = Pools.create(disk, "disk.pool", 4096);
        Path source = Pools.randomFile(directory.resolve("source"), Pools.diskSize(pool));

        try (ServerProcess server = serveBothWays(pool)) {
            for (String uri : server.uris()) {
                Command.of("nbdcopy", source, uri).succeed();
                Command.of("qemu-img compare -f raw -F raw", source, uri).succeed();
            }
        }
        Pools.checkWithPmempool(pool);
    }
}
