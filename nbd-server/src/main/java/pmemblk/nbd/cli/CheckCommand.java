package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import pmemblk.pool.PoolCheck;
import pmemblk.pool.PoolOptions;

/** Checks a pool, and repairs what is certain. */
@Command(
        name = "check",
        description = {
            "Checks that a pool's metadata agree: headers, info blocks, map and log, and each block"
                    + " owned exactly once.",
            "A repair restores an info block from its other copy, a header or a block size that"
                    + " the rest of the pool tells for certain, and finishes interrupted writes."
                    + " Nothing is guessed: what else is damaged stays as it is."
        },
        footer = {
            "  pmemblk-nbd check disk.pool",
            "  pmemblk-nbd check --repair disk.pool",
            "  pmemblk-nbd check --repair --apply disk.pool"
        })
final class CheckCommand implements Callable<Integer> {
    @Option(
            names = "--block-size",
            paramLabel = "N",
            converter = ByteSize.BlockSizeConverter.class,
            description = "The block size that the pool must have.")
    private @Nullable Integer blockSize;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** Asked for with {@code --repair}. */
    static final class Repair {
        @Option(
                names = "--repair",
                required = true,
                description = "Show what a repair would do, and change nothing.")
        private boolean asked;

        @Option(names = "--apply", description = "With --repair: do it.")
        private boolean applied;
    }

    @ArgGroup(exclusive = false)
    private @Nullable Repair repair;

    @Parameters(paramLabel = "POOL", description = "A pool that is not in use.")
    private Path pool = Path.of("");

    @Override
    public Integer call() throws IOException {
        CheckReport report = new CheckReport(pool, run(), repair != null && repair.asked);
        System.out.print(json ? report.json() : report.text());
        String complaint = report.complaint();
        if (complaint == null) {
            return CommandLine.ExitCode.OK;
        }
        Main.complain("pmemblk-nbd check", complaint);
        return Main.NO;
    }

    private PoolCheck run() throws IOException {
        PoolOptions options =
                blockSize == null
                        ? PoolOptions.DEFAULT
                        : PoolOptions.DEFAULT.withBlockSize(blockSize);
        try (ShownProgress progress = new ShownProgress("check")) {
            return repair != null && repair.applied
                    ? PoolCheck.repair(pool, options, progress)
                    : PoolCheck.run(pool, options, progress);
        }
    }
}
