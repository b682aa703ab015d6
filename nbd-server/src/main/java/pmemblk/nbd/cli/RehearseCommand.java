package pmemblk.nbd.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/**
 * Makes pools, serves them, and is its own client for a moment, so that the JVM meets the classes
 * that a start needs; {@code make-aot-cache} has it write them down. Ends the process.
 */
@Command(
        name = "rehearse",
        hidden = true,
        description = "Serves pools for a moment, for make-aot-cache.",
        footer = "  pmemblk-nbd rehearse DIR MEMORY-DIR")
final class RehearseCommand implements Callable<Integer> {
    private static final long OPTION_MAGIC = 0x49484156454f5054L;
    private static final int GREETING_SIZE = 18;
    private static final int FIXED_NEWSTYLE_NO_ZEROES = 3;
    private static final int OPT_GO = 7;
    private static final int REP_ACK = 1;
    private static final int REQUEST_MAGIC = 0x25609513;
    private static final int READ = 0;
    private static final int WRITE = 1;
    private static final int DISC = 2;
    private static final int FLUSH = 3;
    private static final int REPLY_SIZE = 16;
    private static final int LENGTH = 4096;

    /** Of each kind, on each connection: enough for what does not come up with the first. */
    private static final int REQUESTS = 20;

    @Parameters(index = "0", paramLabel = "DIR", description = "An empty folder on a disk.")
    private Path directory = Path.of("");

    /** Removed by the caller, as the other one: the pools are served until the process ends. */
    @Parameters(index = "1", paramLabel = "MEMORY-DIR", description = "An empty one on tmpfs.")
    private Path inMemory = Path.of("");

    @Override
    public Integer call() throws IOException {
        // The path of a socket may not be long, as that of a build may.
        Path socket = inMemory.resolve("socket");
        List<Path> pools = List.of(directory.resolve("file.pool"), inMemory.resolve("memory.pool"));
        for (Path pool : pools) {
            Main.run("create", "--size", "17M", pool.toString());
            Main.run("info", pool.toString());
            Main.run("check", pool.toString());
        }
        serve(socket, pools);
        return CommandLine.ExitCode.OK;
    }

    /** Serves them at a Unix socket and over TCP, and uses each export at each. */
    private static void serve(Path socket, List<Path> pools) throws IOException {
        PrintStream output = System.out;
        try (PipedInputStream pipe = new PipedInputStream();
                BufferedReader uris = new BufferedReader(new InputStreamReader(pipe, UTF_8))) {
            System.setOut(new PrintStream(new PipedOutputStream(pipe), true, UTF_8));
            List<String> words = new ArrayList<>();
            Collections.addAll(words, "serve", "--unix", socket.toString());
            Collections.addAll(words, "--listen", "127.0.0.1:0");
            pools.forEach(pool -> words.add(pool.toString()));
            String[] arguments = words.toArray(String[]::new);
            Thread.ofPlatform().daemon().start(() -> System.exit(Main.run(arguments)));
            for (int i = 0; i < 2 * pools.size(); i++) {
                URI uri = URI.create(uris.readLine());
                SocketAddress address =
                        uri.getPort() < 0
                                ? UnixDomainSocketAddress.of(socket)
                                : new InetSocketAddress(uri.getHost(), uri.getPort());
                use(address, uri.getPath().substring(1));
            }
        } finally {
            System.setOut(output);
        }
    }

    private static void use(SocketAddress address, String exportName) throws IOException {
        try (SocketChannel channel =
                address instanceof UnixDomainSocketAddress
                        ? SocketChannel.open(StandardProtocolFamily.UNIX)
                        : SocketChannel.open()) {
            channel.connect(address);
            handshake(channel, exportName);
            for (int i = 0; i < REQUESTS; i++) {
                request(channel, WRITE, (long) i * LENGTH, LENGTH);
                receive(channel, REPLY_SIZE);
                request(channel, READ, (long) i * LENGTH, LENGTH);
                receive(channel, REPLY_SIZE + LENGTH);
            }
            request(channel, FLUSH, 0, 0);
            receive(channel, REPLY_SIZE);
            request(channel, DISC, 0, 0);
        }
    }

    private static void handshake(SocketChannel channel, String exportName) throws IOException {
        receive(channel, GREETING_SIZE);
        byte[] name = exportName.getBytes(UTF_8);
        ByteBuffer go = ByteBuffer.allocate(26 + name.length);
        go.putInt(FIXED_NEWSTYLE_NO_ZEROES).putLong(OPTION_MAGIC).putInt(OPT_GO);
        go.putInt(6 + name.length).putInt(name.length).put(name).putShort((short) 0);
        send(channel, go);
        int type;
        do {
            ByteBuffer reply = receive(channel, 20);
            type = reply.getInt(12);
            receive(channel, reply.getInt(16));
        } while (type != REP_ACK);
    }

    private static void request(SocketChannel channel, int command, long offset, int length)
            throws IOException {
        ByteBuffer request = ByteBuffer.allocate(28 + (command == WRITE ? length : 0));
        request.putInt(REQUEST_MAGIC).putShort((short) 0).putShort((short) command);
        request.putLong(offset).putLong(offset).putInt(length);
        send(channel, request.position(request.capacity()));
    }

    private static void send(SocketChannel channel, ByteBuffer bytes) throws IOException {
        bytes.flip();
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static ByteBuffer receive(SocketChannel channel, int size) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(size);
        while (bytes.hasRemaining()) {
            if (channel.read(bytes) < 0) {
                throw new IOException("the server has hung up");
            }
        }
        return bytes;
    }
}
