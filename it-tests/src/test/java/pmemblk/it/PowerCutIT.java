package pmemblk.it;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
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
            Path java = Path.of(System.getProperty("java.home"), "bin", "java");
            Path own = Files.createDirectory(folder.resolve("run" + run));
            Command powerCut =
                    Command.of(
                            "unshare --mount",
                            java,
                            "--enable-native-access=ALL-UNNAMED",
                            "-Xmx1g",
                            "-ea",
                            "-cp",
                            System.getProperty("java.class.path"),
                            PowerCut.class.getName(),
                            own,
                            mkfs,
                            OPERATIONS,
                            seed + run);
            String output = powerCut.within(Duration.ofMinutes(10)).succeed().output();
            System.out.print(output);
        }
    }
}
