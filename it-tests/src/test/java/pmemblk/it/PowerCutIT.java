package pmemblk.it;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Power cuts below a real filesystem. */
class PowerCutIT {
    private static final int RUNS = Integer.getInteger("powercut.runs", 1);
    private static final int OPERATIONS = 300;

    @TempDir(factory = Place.Tmpfs.class)
    private Path folder = Path.of("");

    @Test
    void nothingIsTornForeignOrLostOnExt4() throws Exception {
        cutPower("mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0");
    }

    private void cutPower(String mkfs) throws Exception {
        long seed = System.nanoTime();
        for (int run = 0; run < RUNS; run++) {
            Path own = Files.createDirectory(folder.resolve("run" + run));
            System.out.println("seed " + (seed + run));
            System.out.print(OwnMounts.run(PowerCut.class, own, mkfs, OPERATIONS, seed + run));
        }
    }
}
