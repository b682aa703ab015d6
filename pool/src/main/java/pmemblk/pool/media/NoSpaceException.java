package pmemblk.pool.media;

import java.nio.file.FileSystemException;

/** The file system is full, or the quota used up, and the file has a hole there. */
public final class NoSpaceException extends FileSystemException {
    private static final long serialVersionUID = 1;

    public NoSpaceException(String file, String reason) {
        super(file, null, reason);
    }
}
