package pmemblk.nbd.cli;

import java.util.Objects;
import picocli.CommandLine.IVersionProvider;

/** Our version, from the manifest of the jar that we run from, and that of the Java below. */
final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
        String version = Version.class.getPackage().getImplementationVersion();
        return new String[] {
            "pmemblk-nbd " + Objects.requireNonNullElse(version, "(not from a jar)"),
            "Java " + Runtime.version()
        };
    }
}
