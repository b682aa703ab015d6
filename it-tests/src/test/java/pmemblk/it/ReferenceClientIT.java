package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The tests that the protocol's reference project has for its own server, as far as they are about
 * the protocol. No distribution packages its client, so {@code it-tests/fetch-reference-client}
 * builds it; its folder must be in PATH. Its test of writes up to 50 MB is left out: the protocol
 * has no server take more than 32 MiB.
 */
class ReferenceClientIT {
    private static final String CLIENT = "nbd-tester-client";
    private static final int REQUEST_MAGIC = 0x25609513;
    private static final int REQUEST_SIZE = 28;

    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    private Path pool = Path.of("");

    @BeforeEach
    void makePool() throws Exception {
        pool = directory.resolve("disk.pool");
        Command.pmemblkNbd("create --size 64M", pool).succeed();
    }

    private ServerProcess serve(String options) throws Exception {
        return ServerProcess.start(
                2,
                (options + " --listen 127.0.0.1:0 --unix").strip(),
                directory.resolve("nbd.sock"),
                pool);
    }

    private static Command client(String words, ServerProcess server) {
        return Command.of(CLIENT + " " + words + " 127.0.0.1", server.address().getPort())
                .with("NBD_TEST_SILENT", "1");
    }

    @ParameterizedTest
    @CsvSource({
        "-N disk, read test", // cfg1
        "-N disk -w, write test", // write
        "-N disk -w -f, with flushes", // flush
        "-N disk -o, OK", // cfgsize: READs of up to 2 MiB
        "-N disk -h, No errors", // handshake: an option that nobody knows
        "-N nobody -F, as expected",
    })
    void testPasses(String words, String said) throws Exception {
        try (ServerProcess server = serve("")) {
            Command.Outcome outcome = client(words, server).succeed();
            assertTrue((outcome.output() + outcome.errors()).contains(said), outcome::toString);
        }
    }

    /** The test "rowrite". */
    @Test
    void writesOfAReadOnlyExportFail() throws Exception {
        try (ServerProcess server = serve("--read-only")) {
            client("-N disk -w -F", server).succeed();
            client("-N disk -w", server).end(1);
        }
    }

    /** The test "unix". */
    @Test
    void unixSocketServes() throws Exception {
        try (ServerProcess server = serve("")) {
            Command.of(CLIENT + " -N disk -u", directory.resolve("nbd.sock")).succeed();
            client("-N disk", server).succeed();
        }
    }

    /** The tests "tls" and "tlswrongcert", but for their traces. */
    @Test
    void certificatesLetIn() throws Exception {
        Path ours = directory.resolve("ours");
        Path others = directory.resolve("others");
        for (Path folder : List.of(ours, others)) {
            Command.pmemblkNbd("tls-init", folder).succeed();
        }
        String words = "-N disk -C %1$s/client-cert.pem -K %1$s/client-key.pem";
        String authority = " -A %s/ca-cert.pem".formatted(ours);

        try (ServerProcess server = serve("--tls-verify-peer --tls-certificates " + ours)) {
            client(words.formatted(ours) + authority, server).succeed();
            client(words.formatted(others) + authority, server).end(1);
            client("-N disk", server).end(1);
        }
    }

    /** The test "integrity", by another trace: its own comes with its sources. */
    @Test
    void everyWriteOfATraceIsReadBack() throws Exception {
        Path trace = Files.write(directory.resolve("trace"), trace(2000));

        try (ServerProcess server = serve("")) {
            client("-N disk -i -t " + trace, server).succeed();
        }
        Pools.checkWithPmempool(pool);
    }

    /** So many READs, WRITEs, some of them with FUA, and FLUSHes, up to DISC. */
    private static byte[] trace(int count) {
        int fua = 1 << 16;
        int[] commands = {NbdConnection.READ, NbdConnection.WRITE, NbdConnection.WRITE | fua};
        SplittableRandom random = new SplittableRandom(count);
        ByteBuffer trace = ByteBuffer.allocate((count + 1) * REQUEST_SIZE);
        for (int i = 0; i < count; i++) {
            boolean flush = i % 50 == 0;
            int command = flush ? NbdConnection.FLUSH : commands[random.nextInt(commands.length)];
            long block = random.nextLong(32 << 20 >> 9);
            int blocks = 1 + random.nextInt(1 << random.nextInt(11));
            trace.putInt(REQUEST_MAGIC).putInt(command).putLong(i);
            trace.putLong(flush ? 0 : block << 9).putInt(flush ? 0 : blocks << 9);
        }
        trace.putInt(REQUEST_MAGIC).putInt(NbdConnection.DISC).put(new byte[20]);
        return trace.array();
    }
}
