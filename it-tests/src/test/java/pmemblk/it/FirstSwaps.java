package pmemblk.it;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Lanes of a pool that were killed between the two halves of the first swap they ever logged. What
 * they were to log has not happened, and no recovery looks at it; but pmempool calls the log
 * invalid.
 *
 * <p>A lane's log is two slots of 16 bytes, 64 bytes apart from the next lane's: lba and old map
 * entry, stored first; new map entry and sequence number. Of a new lane the first slot has 1 as its
 * number and both entries alike, the second is zero.
 */
final class FirstSwaps {
    private static final int INFO_BLOCK_OFFSET = 8192;
    private static final int LANE_COUNT = INFO_BLOCK_OFFSET + 72;
    private static final int LOG_OFFSET = INFO_BLOCK_OFFSET + 104;
    private static final int LANE_SIZE = 64;

    private FirstSwaps() {}

    /** Empties the second slots of such lanes, in a pool of one arena. */
    static void takeBack(Path pool) throws IOException {
        try (FileChannel file =
                FileChannel.open(pool, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            int lanes = read(file, LANE_COUNT, Integer.BYTES).getInt(0);
            for (int lane = 0; lane < lanes; lane++) {
                long offset = logOffset(file, lane);
                ByteBuffer slots = read(file, offset, 32);
                boolean isNew = slots.getInt(12) == 1 && slots.getInt(4) == slots.getInt(8);
                boolean halfLogged = slots.getLong(16) != 0 && slots.getLong(24) == 0;
                if (isNew && halfLogged) {
                    file.write(ByteBuffer.allocate(8), offset + 16);
                }
            }
        }
    }

    /** Where the log of a lane lies in the file, in bytes. */
    static long logOffset(Path pool, int lane) throws IOException {
        try (FileChannel file = FileChannel.open(pool)) {
            return logOffset(file, lane);
        }
    }

    private static long logOffset(FileChannel file, int lane) throws IOException {
        long log = read(file, LOG_OFFSET, Long.BYTES).getLong(0);
        return INFO_BLOCK_OFFSET + log + (long) lane * LANE_SIZE;
    }

    private static ByteBuffer read(FileChannel file, long offset, int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        file.read(bytes, offset);
        return bytes;
    }
}
