package pmemblk.it;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A client whose machine is gone, in a network of the test's own. */
class GoneClientIT {
    @TempDir(factory = Place.Tmpfs.class)
    private Path folder = Path.of("");

    @Test
    void thePlaceOfAClientThatIsSilentBecomesFree() throws Exception {
        System.out.print(OwnMounts.runOffline(GoneClientTrial.class, folder));
    }
}
