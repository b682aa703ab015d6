package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Durability;
import pmemblk.pool.PoolOptions;

/** The command {@code pmemblk-nbd}: what all of its subcommands share, and the shorter of them. */
@Command(
        name = "pmemblk-nbd",
        description = "Serves pmemblk pools over NBD: disks whose block writes never tear.",
        subcommands = {
            ServeCommand.class,
            CheckCommand.class,
            GrowCommand.class,
            BlockCommand.class,
            TlsInitCommand.class
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        scope = ScopeType.INHERIT,
        synopsisSubcommandLabel = "COMMAND",
        sortOptions = false,
        exitCodeListHeading = "%nExit status:%n",
        exitCodeList = {
            "0:done",
            "1:the answer is no: damage found, or the block is in the error state",
            "2:bad usage or input, or the system refused"
        },
        footerHeading = "%nExample:%n",
        footer = "  pmemblk-nbd serve --create 1G disk.pool")
public final class Main {
    /** Exit status of a question that was answered with no. */
    static final int NO = 1;

    /** Exit status of what could not be done. */
    static final int FAILED = 2;

    /** A filesystem's usual block, and a page of memory. */
    static final String DEFAULT_BLOCK_SIZE = "4096";

    @Option(
            names = "--verbose",
            description = "Log details, and show where in the program an error arose.",
            scope = ScopeType.INHERIT)
    private boolean verbose;

    private Main() {}

    public static void main(String[] args) {
        System.exit(run(args));
    }

    /** Runs one command to its end and returns the exit status. */
    static int run(String... args) {
        Main main = new Main();
        return new CommandLine(main)
                .setExecutionStrategy(main::execute)
                .setParameterExceptionHandler((refused, ignored) -> usageError(refused))
                .setExecutionExceptionHandler(main::failure)
                .execute(args);
    }

    @Command(
            description = "Makes a pool: a file of that size, allocated in full.",
            footer = "  pmemblk-nbd create --size 10G disk.pool")
    int create(
            @Option(
                            names = "--size",
                            required = true,
                            paramLabel = "SIZE",
                            converter = ByteSize.Converter.class,
                            description = "Of the file: bytes, or a number with K, M, G or T.")
                    long size,
            @Option(
                            names = "--block-size",
                            defaultValue = DEFAULT_BLOCK_SIZE,
                            paramLabel = "N",
                            converter = ByteSize.BlockSizeConverter.class,
                            description = "Bytes that are written whole or not at all [4096].")
                    int blockSize,
            @Option(
                            names = "--mode",
                            defaultValue = "0600",
                            paramLabel = "MODE",
                            converter = FileMode.class,
                            description = "Permissions of the file, in octal [0600].")
                    int mode,
            @Parameters(paramLabel = "POOL", description = "The file to make.") Path pool)
            throws IOException {
        BlockPool.create(pool, blockSize, size, mode).close();
        return CommandLine.ExitCode.OK;
    }

    @Command(
            description = "Shows a pool, what it promises when it is served, and how to use it.",
            footer = "  pmemblk-nbd info --json disk.pool")
    int info(
            @Option(names = "--json", description = "Print one JSON object.") boolean json,
            @Parameters(paramLabel = "POOL", description = "A pool that is not in use.") Path pool)
            throws IOException {
        PoolReport report;
        PoolOptions asServed =
                PoolOptions.DEFAULT.withReadOnly(true).withDurability(Durability.ON_FLUSH);
        try (BlockPool open = BlockPool.open(pool, asServed)) {
            report = new PoolReport(open.info());
        }
        System.out.print(json ? report.json() : report.text());
        return CommandLine.ExitCode.OK;
    }

    private int execute(ParseResult parsed) {
        if (verbose) {
            LogConfiguration.showDetails();
        }
        return new CommandLine.RunLast().execute(parsed);
    }

    private static int usageError(ParameterException refused) {
        String command = refused.getCommandLine().getCommandSpec().qualifiedName();
        complain(command, refused.getMessage() + "; see " + command + " --help");
        return FAILED;
    }

    private int failure(Exception failure, CommandLine commandLine, ParseResult parsed) {
        Diagnosis diagnosis = Diagnosis.of(failure);
        complain(commandLine.getCommandSpec().qualifiedName(), diagnosis.line());
        if (verbose && diagnosis.isOurFault()) {
            failure.printStackTrace(System.err);
        }
        return diagnosis.exitStatus();
    }

    /** One line on standard error, whatever the message holds. */
    static void complain(String command, String message) {
        System.err.println(command + ": " + message.strip().replaceAll("\\s*\\R\\s*", " "));
    }
}
