package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A pool mapped with DAX, in a guest with persistent memory. Slow, since all of that is emulated,
 * and so in the profile {@code dax} only.
 */
class DaxIT {
    private static final Duration LIMIT = Duration.ofMinutes(32);

    @TempDir private Path directory = Path.of("");

    @Test
    void aPoolOnPersistentMemoryNeedsNoSyncAndSurvivesKills() throws Exception {
        Path guest = directory.resolve("guest");
        Path share = Files.createDirectory(directory.resolve("share"));
        // The guest sees what is shared wherever that lies, unlike a source tree below /tmp.
        Path program = share.relativize(Installation.make(share)).resolve("bin/pmemblk-nbd");
        Command.of("kernel/fetch-guest-kernel qemu bookworm", guest).succeed();
        String options = "--server none --cpus 1 --memory 1536 --pmem 256 --timeout 1800";
        String output =
                Command.of(
                                "kernel/with-kernel-nbd " + options + " --guest",
                                guest,
                                "--share",
                                share,
                                "--",
                                "kernel/guest/dax.sh",
                                program)
                        .within(LIMIT)
                        .succeed()
                        .output();

        System.out.print(output);
        assertTrue(output.endsWith("DAX works\n"), output);
    }
}
