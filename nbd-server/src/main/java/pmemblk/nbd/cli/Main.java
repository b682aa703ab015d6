package pmemblk.nbd.cli;

import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;

/** The command {@code pmemblk-nbd}: what all of its subcommands share. */
@Command(
        name = "pmemblk-nbd",
        description = "Serves pmemblk pools over NBD: disks whose block writes never tear.",
        addMethodSubcommands = false,
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

    /** In the order in which help lists them. */
    private static final List<Class<?>> COMMANDS =
            List.of(
                    ServeCommand.class,
                    CreateCommand.class,
                    InfoCommand.class,
                    CheckCommand.class,
                    GrowCommand.class,
                    BlockCommand.class,
                    TlsInitCommand.class,
                    RehearseCommand.class);

    /** A filesystem's usual block, and a page of memory. */
    static final int DEFAULT_BLOCK_BYTES = 4096;

    static final String DEFAULT_BLOCK_SIZE = "" + DEFAULT_BLOCK_BYTES;

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
        CommandLine commandLine = new CommandLine(main);
        commands(args).forEach(commandLine::addSubcommand);
        commandLine.addSubcommand(CommandLine.HelpCommand.class);
        int status =
                commandLine
                        .setExecutionStrategy(main::execute)
                        .setParameterExceptionHandler((refused, ignored) -> usageError(refused))
                        .setExecutionExceptionHandler(main::failure)
                        .execute(args);
        if (System.out.checkError()) {
            complain(commandLine.getCommandName(), "standard output takes no more; is it full?");
            return FAILED;
        }
        return status;
    }

    /** The one that is called for, if the first word says so: to look into all takes longer. */
    private static List<Class<?>> commands(String... args) {
        for (Class<?> command : COMMANDS) {
            if (args.length > 0 && args[0].equals(command.getAnnotation(Command.class).name())) {
                return List.of(command);
            }
        }
        return COMMANDS;
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
