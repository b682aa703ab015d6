package pmemblk.it;

import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A server with a pool on a real filesystem whose disk is slow, full, faulty or gone. */
class FaultyDiskIT {
    @TempDir(factory = Place.Tmpfs.class)
    private Path folder = Path.of("");

    @ParameterizedTest
    @EnumSource
    void staysUsefulOnADiskThatIs(FaultyDiskTrial.Fault fault) throws Exception {
        System.out.print(OwnMounts.run(FaultyDiskTrial.class, folder, fault));
    }
}
