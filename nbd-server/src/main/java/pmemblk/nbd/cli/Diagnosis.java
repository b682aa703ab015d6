package pmemblk.nbd.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
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
            case FileSystemException e when e.getReason() == null -> userCanAct(bare(e));
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

    /** The JDK gives a file's name alone where the class of the exception says the rest. */
    private static String bare(FileSystemException failure) {
        String reason =
                switch (failure) {
                    case AccessDeniedException _ ->
                            "permission denied; see who may read and write there";
                    case NoSuchFileException _ -> "there is no such file or folder";
                    case FileAlreadyExistsException _ -> "it exists; move it away";
                    default -> failure.toString();
                };
        return failure.getFile() + ": " + reason;
    }

    private static String text(Exception failure) {
        return Objects.requireNonNullElseGet(failure.getMessage(), failure::toString);
    }
}
