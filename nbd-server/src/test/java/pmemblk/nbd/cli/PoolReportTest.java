package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import pmemblk.pool.PoolInfo;

class PoolReportTest {
    private static PoolReport report(String path) {
        return new PoolReport(
                new PoolInfo(
                        Path.of(path),
                        1L << 30,
                        4096,
                        261_000,
                        new UUID(1, 2),
                        1,
                        256,
                        true,
                        "ordinary file",
                        "every replied write",
                        "every \"replied\" write"));
    }

    @Test
    void jsonEscapesWhatItMust() {
        String json = report("/srv/a\"b\\c\nd\u0001é.pool").json();

        assertTrue(json.contains("\"path\": \"/srv/a\\\"b\\\\c\\u000ad\\u0001é.pool\""), json);
    }

    @Test
    void jsonTellsNumbersFromStrings() {
        String json = report("/srv/disk.pool").json();

        assertEquals(
                """
                {
                  "path": "/srv/disk.pool",
                  "uuid": "00000000-0000-0001-0000-000000000002",
                  "fileSize": 1073741824,
                  "diskSize": 1069056000,
                  "blockSize": 4096,
                  "blockCount": 261000,
                  "arenaCount": 1,
                  "laneCount": 256,
                  "medium": "ordinary file",
                  "afterKill": "every replied write",
                  "afterPowerCut": "every \\"replied\\" write"
                }
                """,
                json);
    }

    @Test
    void textShowsCommandsThatAShellTakes() {
        String text = report("/srv/my disk's.pool").text();

        assertTrue(text.contains("pmemblk-nbd serve '/srv/my disk'\\''s.pool'\n"), text);
        assertTrue(text.contains("nbdinfo nbd://127.0.0.1:10809/my%20disk%27s\n"), text);
        assertTrue(text.contains("/dev/nbd0 -N 'my disk'\\''s' -b 4096\n"), text);
    }
}
