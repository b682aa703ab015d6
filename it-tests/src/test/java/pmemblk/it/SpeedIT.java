package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whether the server has become a third slower, beside nbdfloor, which does nothing but copy: the
 * two take turns, so that what else the machine does slows both.
 */
class SpeedIT {
    /**
     * A kind of load.
     *
     * @param cell as compare.sh wants it
     * @param usualRatio of the server's throughput to nbdfloor's: the lower one of a quiet machine
     *     with two processors, and of one where others work as well, and polling wins nothing
     */
    private record Load(String cell, double usualRatio) {
        String name() {
            return cell.split(" ", -1)[0];
        }
    }

    private static final List<Load> IN_MEMORY =
            List.of(
                    new Load("randread-4k-q16 read rand 4k 16 1", 0.74),
                    new Load("randwrite-4k-q16 write rand 4k 16 1", 0.57),
                    new Load("mix70-4k-q64 mix rand 4k 64 1", 0.65),
                    new Load("seqread-128k-q16 read seq 128k 16 1", 0.65),
                    new Load("seqwrite-128k-q16 write seq 128k 16 1", 0.40));

    /** In the write cache, that is: on the disk it would be a tenth of that. */
    private static final List<Load> ON_DISK =
            List.of(new Load("randwrite-4k-q16 write rand 4k 16 1", 0.50));

    private static final double STILL_WELL = 2.0 / 3;

    /** Medians of so many rounds: in the first few the JVM still compiles. */
    private static final int ROUNDS = 9;

    @Test
    void noKindOfLoadHasBecomeAThirdSlower(@TempDir(factory = Place.Tmpfs.class) Path directory)
            throws Exception {
        requireSpeed(IN_MEMORY, directory);
    }

    @Test
    void writesToAFileThatNobodyFlushesHaveNotBecomeAThirdSlower(
            @TempDir(factory = Place.Disk.class) Path directory) throws Exception {
        requireSpeed(ON_DISK, directory);
    }

    private static void requireSpeed(List<Load> loads, Path directory) throws Exception {
        Path cells =
                Files.write(directory.resolve("cells"), loads.stream().map(Load::cell).toList());

        String report =
                Command.of(
                                "bench/compare.sh --peers nbdfloor --size 256 --secs 0.5"
                                        + " --warmup 0.3",
                                "--rounds",
                                ROUNDS,
                                "--cells",
                                cells,
                                "--dir",
                                directory)
                        .within(Duration.ofMinutes(6))
                        .succeed()
                        .output();

        List<String> slow = new ArrayList<>();
        for (Load load : loads) {
            double ratio = ratio(report, load.name());
            System.out.printf(
                    "%s: %.2f of nbdfloor, usually %.2f%n", load.name(), ratio, load.usualRatio());
            if (ratio < STILL_WELL * load.usualRatio()) {
                slow.add(load.name());
            }
        }
        assertEquals(List.of(), slow, report);
    }

    /** The first table of the report tells of throughput, and a row of it ends with the ratio. */
    private static double ratio(String report, String cell) {
        Matcher row =
                Pattern.compile("^\\| " + cell + " .* ([0-9.]+) \\|$", Pattern.MULTILINE)
                        .matcher(report);
        if (!row.find()) {
            throw new AssertionError("no row for " + cell + ": " + report);
        }
        return Double.parseDouble(row.group(1));
    }
}
