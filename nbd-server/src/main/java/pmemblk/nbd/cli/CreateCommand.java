package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import pmemblk.pool.BlockPool;

/** Makes a pool. */
@Command(
        name = "create",
        description = "Makes a pool: a file of that size, allocated in full.",
        footer = "  pmemblk-nbd create --size 10G disk.pool")
final class CreateCommand implements Callable<Integer> {
    @Option(
            names = "--size",
            required = true,
            paramLabel = "SIZE",
            converter = ByteSize.Converter.class,
            description = "Of the file: bytes, or a number with K, M, G or T.")
    private long size;

    @Option(
            names = "--block-size",
            defaultValue = Main.DEFAULT_BLOCK_SIZE,
            paramLabel = "N",
            converter = ByteSize.BlockSizeConverter.class,
            description = "Bytes that are written whole or not at all [4096].")
    private int blockSize;

    @Option(
            names = "--mode",
            defaultValue = "0600",
            paramLabel = "MODE",
            converter = FileMode.class,
            description = "Permissions of the file, in octal [0600].")
    private int mode;

    @Parameters(paramLabel = "POOL", description = "The file to make.")
    private Path pool = Path.of("");

    @Override
    public Integer call() throws IOException {
        BlockPool.create(pool, blockSize, size, mode).close();
        return CommandLine.ExitCode.OK;
    }
}
