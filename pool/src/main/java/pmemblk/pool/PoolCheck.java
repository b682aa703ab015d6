package pmemblk.pool;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import pmemblk.pool.btt.BttCheck;
import pmemblk.pool.btt.BttSite;
import pmemblk.pool.btt.CorruptBttException;

/**
 * What a check of a pool found.
 *
 * @param damage what is wrong and where, a sentence each; empty if the pool is consistent
 */
public record PoolCheck(List<String> damage) {

    public boolean isConsistent() {
        return damage.isEmpty();
    }

    static PoolCheck run(Path path, int blockSize) throws IOException {
        try {
            PoolFiles files = PoolFiles.open(path, true);
            try (var medium = files.medium()) {
                PoolDescriptor descriptor = BlockPool.readDescriptor(path, medium, blockSize);
                BttSite site =
                        new BttSite(
                                medium,
                                BlockPool.TABLE_OFFSET,
                                files.header().poolsetUuid(),
                                descriptor.blockSize());
                return new PoolCheck(BttCheck.run(site));
            }
        } catch (CorruptPoolException | CorruptBttException e) {
            return new PoolCheck(List.of(String.valueOf(e.getMessage())));
        }
    }
}
