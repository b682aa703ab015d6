package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The scripts that come with the server. */
class ScriptsIT {
    @Test
    void shellcheckHasNoComplaint() throws Exception {
        Command.of(
                        "bash -c",
                        "shellcheck $(git ls-files | xargs grep -lE '^#!/(bin|usr/bin)/(env )?(ba)?sh')")
                .in(Path.of("..").toAbsolutePath())
                .succeed();
    }

    @Test
    void benchmarkMeasuresOurServerAndFindsNoTornBlock(
            @TempDir(factory = Place.Tmpfs.class) Path directory) throws Exception {
        Path cells =
                Files.write(
                        directory.resolve("cells"),
                        List.of(
                                "randwrite-4k-q16 write rand 4k 16 2 --check",
                                "mix70-4k-q16 mix rand 4k 16 2 --check"));

        String report =
                Command.of(
                                "bench/compare.sh --peers none --transport unix,tcp"
                                        + " --rounds 1 --secs 1 --size 32 --cells",
                                cells,
                                "--dir",
                                directory,
                                "--out",
                                directory)
                        .succeed()
                        .output();

        assertTrue(report.contains("| mix70-4k-q16 IOPS |"), report);
    }
}
