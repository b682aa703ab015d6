package pmemblk.pool;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** Something that a pool cannot do; the message says where, why, and what to do about it. */
public sealed class PoolException extends IOException
        permits PoolNotFoundException,
                PoolExistsException,
                PoolInUseException,
                PoolFileException,
                PoolTooSmallException,
                BlockSizeException,
                BlockErrorException,
                CorruptPoolException,
                GrowthRefusedException,
                PoolChangedException,
                PoolFailedException,
                PoolFullException,
                ReadOnlyPoolException,
                UnsupportedPoolException,
                ArenaErrorException {
    private static final long serialVersionUID = 1;

    PoolException(String message) {
        this(message, null);
    }

    PoolException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
