package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Durability;
import pmemblk.pool.PoolOptions;

/** Shows a pool. */
@Command(
        name = "info",
        description = "Shows a pool, what it promises when it is served, and how to use it.",
        footer = "  pmemblk-nbd info --json disk.pool")
final class InfoCommand implements Callable<Integer> {
    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Parameters(paramLabel = "POOL", description = "A pool that is not in use.")
    private Path pool = Path.of("");

    @Override
    public Integer call() throws IOException {
        PoolReport report;
        PoolOptions asServed =
                PoolOptions.DEFAULT.withReadOnly(true).withDurability(Durability.ON_FLUSH);
        try (BlockPool open = BlockPool.open(pool, asServed)) {
            report = new PoolReport(open.info());
        }
        System.out.print(json ? report.json() : report.text());
        return CommandLine.ExitCode.OK;
    }
}
