package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How long a server takes that was killed while it held writes. */
class RecoveryIT {
    private static final int BLOCK_SIZE = 4096;
    private static final int KILLS = 3;
    private static final Duration LIMIT = Duration.ofSeconds(2);

    @TempDir(factory = Place.Disk.class)
    private Path directory = Path.of("");

    private static byte[] content(int kill, int write) {
        byte[] content = new byte[BLOCK_SIZE];
        Arrays.fill(content, (byte) (1 + kill + write));
        return content;
    }

    /** The shortest time from the start of a server to its first reply, after several kills. */
    private static Duration restart(Path pool, String exportName) throws Exception {
        Duration best = Duration.ofDays(1);
        for (int kill = 0; kill <= KILLS; kill++) {
            long start = System.nanoTime();
            try (ServerProcess server = ServerProcess.startTcp(pool);
                    NbdConnection connection = new NbdConnection(server.address(), exportName)) {
                long last = connection.exportSize() - BLOCK_SIZE;
                byte[] found = connection.read(last, BLOCK_SIZE);
                if (kill > 0) {
                    Duration taken = Duration.ofNanos(System.nanoTime() - start);
                    best = taken.compareTo(best) < 0 ? taken : best;
                    assertArrayEquals(content(kill - 1, 0), found);
                }
                holdWrites(connection, kill, last);
                server.kill();
            }
        }
        return best;
    }

    /** In the first arena, and in the last one. */
    private static void holdWrites(NbdConnection connection, int kill, long last)
            throws IOException {
        int count = 100;
        for (int write = 0; write < count; write++) {
            long offset = (long) write / 2 * BLOCK_SIZE;
            long place = write % 2 == 0 ? last - offset : offset;
            connection.send(NbdConnection.WRITE, 0, place, BLOCK_SIZE, content(kill, write));
        }
        for (int write = 0; write < count; write++) {
            assertEquals(0, connection.receive().error());
        }
    }

    @Test
    void killedPoolOfOneTebibyteOpensInTwoSecondsMoreThanASmallOne() throws Exception {
        Duration small = restart(Pools.create(directory, "small.pool", BLOCK_SIZE), "small");
        Duration large = restart(Pools.createOneTebibyte(directory), "one-tebibyte");

        Duration more = large.minus(small);
        assertTrue(more.compareTo(LIMIT) < 0, () -> "%s, a small one %s".formatted(large, small));
    }
}
