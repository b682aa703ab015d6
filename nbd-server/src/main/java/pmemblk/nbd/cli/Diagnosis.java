package pmemblk.nbd.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Objects;
import pmemblk.pool.BlockErrorException;

/**
 * What a user is told of a failure.
 *
 * @param line without the name of the command
 * @param isOurFault whether a stack trace would help anybody
 */
record Diagnosis(String line, int exitStatus, boolean isOurFault) {
    static Diagnosis of(Throwable failure) {
        return switch (failure) {
            case BlockErrorException e -> new Diagnosis(text(e), Main.NO, false);
            case IOException e -> userCanAct(text(e));
            case UncheckedIOException e -> of(Objects.requireNonNull(e.getCause()));
            default ->
                    new Diagnosis(
                            "internal error: "
                                    + failure
                                    + "; --verbose shows where, please report it",
                            Main.FAILED,
                            true);
        };
    }

    private static Diagnosis userCanAct(String line) {
        return new Diagnosis(line, Main.FAILED, false);
    }

    private static String text(Exception failure) {
        return Objects.requireNonNullElseGet(failure.getMessage(), failure::toString);
    }
}
