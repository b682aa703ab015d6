package pmemblk.nbd.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import pmemblk.pool.BlockErrorException;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Durability;
import pmemblk.pool.PoolOptions;

class PoolExportTest extends ExportContract {
    @TempDir private Path folder;

    @Override
    Export open() throws IOException {
        Path path = folder.resolve("disk.pool");
        BlockPool.create(path, 520, BlockPool.MIN_POOL_SIZE, 0600).close();
        return new PoolExport(
                BlockPool.open(path, PoolOptions.DEFAULT.withDurability(Durability.ON_FLUSH)));
    }

    @Test
    void describesTheAtomicUnit() throws IOException {
        try (BlockPool pool = pool(4096);
                PoolExport export = new PoolExport(pool)) {
            ExportInfo info = export.info();

            assertEquals(pool.blockCount() * 4096, info.size());
            assertEquals(4096, info.blockSize());
            assertEquals(4096, info.preferredBlockSize());
            assertEquals(
                    "pmemblk pool: blocks of 4096 bytes, each written whole or not at all",
                    info.description());
        }
    }

    @Test
    void prefersLargeBlocksWhereThePoolHasThem() throws IOException {
        try (PoolExport export = new PoolExport(pool(16384))) {
            assertEquals(16384, export.info().preferredBlockSize());
        }
    }

    @Test
    void anErrorBlockFailsTheRequestThatTouchesItAndNoOther() throws IOException {
        BlockPool pool = pool(4096);
        pool.setError(3);
        try (PoolExport export = new PoolExport(pool)) {
            assertThrows(
                    BlockErrorException.class,
                    () -> export.read(3 * 4096 - 1, ByteBuffer.allocate(2)));
            export.read(0, ByteBuffer.allocate(3 * 4096));
            export.write(3 * 4096, ByteBuffer.allocate(4096));
            export.read(3 * 4096, ByteBuffer.allocate(4096));
        }
    }

    private BlockPool pool(int blockSize) throws IOException {
        return BlockPool.create(folder.resolve("p" + blockSize), blockSize, 32 << 20, 0600);
    }
}
