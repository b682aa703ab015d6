package pmemblk.nbd.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import pmemblk.pool.BlockPool;
import pmemblk.pool.PoolOptions;

/** Reads and changes single blocks of a pool that is not in use. */
@Command(
        name = "block",
        description = "Reads or changes one block of a pool that is not in use.",
        footer = "  pmemblk-nbd block read disk.pool 7 | hexdump -C")
final class BlockCommand {
    @Command(
            description = "Copies a block to standard output.",
            footer = "  pmemblk-nbd block read disk.pool 7 >block")
    int read(
            @Parameters(paramLabel = "POOL") Path pool,
            @Parameters(paramLabel = "NUMBER") long number)
            throws IOException {
        ByteBuffer block;
        try (BlockPool open = open(pool, number, PoolOptions.DEFAULT.withReadOnly(true))) {
            block = ByteBuffer.allocate(open.blockSize());
            open.read(number, block);
        }
        PrintStream output = System.out;
        output.write(block.array());
        if (output.checkError()) {
            throw new IOException(
                    "cannot write to standard output; is its reader gone, its disk full?");
        }
        return CommandLine.ExitCode.OK;
    }

    @Command(
            description =
                    "Fills a block from standard input; what is missing at its end becomes zero.",
            footer = "  printf hello | pmemblk-nbd block write disk.pool 7")
    int write(
            @Parameters(paramLabel = "POOL") Path pool,
            @Parameters(paramLabel = "NUMBER") long number)
            throws IOException {
        try (BlockPool open = open(pool, number, PoolOptions.DEFAULT)) {
            byte[] data = System.in.readNBytes(open.blockSize() + 1);
            if (data.length > open.blockSize()) {
                throw new IOException(
                        "standard input holds more than a block of %d bytes; cut it, or write to an export that is served"
                                .formatted(open.blockSize()));
            }
            if (data.length == 0) {
                throw new IOException("standard input is empty; to zero a block use block zero");
            }
            open.write(number, ByteBuffer.wrap(data));
        }
        return CommandLine.ExitCode.OK;
    }

    @Command(
            description = "Makes a block read as zeroes.",
            footer = "  pmemblk-nbd block zero disk.pool 7")
    int zero(
            @Parameters(paramLabel = "POOL") Path pool,
            @Parameters(paramLabel = "NUMBER") long number)
            throws IOException {
        try (BlockPool open = open(pool, number, PoolOptions.DEFAULT)) {
            open.setZero(number);
        }
        return CommandLine.ExitCode.OK;
    }

    @Command(
            description = "Makes a block fail to be read until it is written again.",
            footer = "  pmemblk-nbd block error disk.pool 7")
    int error(
            @Parameters(paramLabel = "POOL") Path pool,
            @Parameters(paramLabel = "NUMBER") long number)
            throws IOException {
        try (BlockPool open = open(pool, number, PoolOptions.DEFAULT)) {
            open.setError(number);
        }
        return CommandLine.ExitCode.OK;
    }

    private static BlockPool open(Path pool, long number, PoolOptions options) throws IOException {
        BlockPool open = BlockPool.open(pool, options);
        if (number >= 0 && number < open.blockCount()) {
            return open;
        }
        long last = open.blockCount() - 1;
        open.close();
        throw new IOException(pool + " has no block " + number + "; take one from 0 to " + last);
    }
}
