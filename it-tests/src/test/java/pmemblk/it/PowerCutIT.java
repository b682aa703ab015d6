package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Power cuts below a real filesystem. */
class PowerCutIT {
    private static final int RUNS = Integer.getInteger("powercut.runs", 1);
    private static final String MKFS =
            "mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0";

    @TempDir(factory = Place.Tmpfs.class)
    private Path folder = Path.of("");

    @ParameterizedTest
    @EnumSource
    void nothingIsTornForeignOrLostOnExt4(PowerCutLoad.Kind load) throws Exception {
        assertTrue(RUNS > 0, "-Dpowercut.runs=" + RUNS + " is no run, 1 is the least");
        long seed = System.nanoTime();
        for (int run = 0; run < RUNS; run++) {
            Path own = Files.createDirectory(folder.resolve("run" + run));
            System.out.println("seed " + (seed + run));
            System.out.print(OwnMounts.run(PowerCut.class, own, MKFS, load, seed + run));
        }
    }
}
