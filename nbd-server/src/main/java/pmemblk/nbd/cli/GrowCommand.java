package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import pmemblk.pool.PoolGrowth;
import pmemblk.pool.PoolOptions;

/** Makes a pool larger. */
@Command(
        name = "grow",
        description = {
            "Makes a pool larger, with all that it holds: copies it to a new file beside it, which"
                    + " then takes its name. There has to be room for both; blocks that read as"
                    + " zeroes are not copied.",
            "Whenever it is killed the old pool is still there, or the new one is; what it leaves"
                    + " behind (.POOL.growing) is removed by the next growth."
        },
        footer = "  pmemblk-nbd grow --size 20G disk.pool")
final class GrowCommand implements Callable<Integer> {
    @Option(
            names = "--size",
            required = true,
            paramLabel = "SIZE",
            converter = ByteSize.Converter.class,
            description = "Of the new file: bytes, or a number with K, M, G or T.")
    private long size;

    @Parameters(paramLabel = "POOL", description = "A pool that is not in use.")
    private Path pool = Path.of("");

    @Override
    public Integer call() throws IOException {
        try (ShownProgress progress = new ShownProgress("grow")) {
            PoolGrowth.grow(pool, size, PoolOptions.DEFAULT, progress);
        }
        return CommandLine.ExitCode.OK;
    }
}
