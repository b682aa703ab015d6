package pmemblk.it;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.opentest4j.AssertionFailedError;

/**
 * A {@code pmemblk-nbd serve} that accepts connections. {@link #close} ends it by SIGTERM and
 * expects exit status 0, no more than the URIs on standard output, and a log without errors.
 */
final class ServerProcess implements AutoCloseable {
    static final Path LAUNCHER =
            Path.of("../nbd-server/bin/pmemblk-nbd").toAbsolutePath().normalize();

    /** The server's own assertions hold, and Netty reports every buffer that leaks. */
    private static final String JAVA_OPTIONS =
            "-ea -Xmx512m -Dio.netty.leakDetection.level=paranoid";

    private static final Duration START_LIMIT = Duration.ofSeconds(60);
    private static final Duration LOG_LIMIT = Duration.ofSeconds(30);
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration STOP_LIMIT = Duration.ofSeconds(30);
    private static final String END_OF_OUTPUT = "";

    private final Process process;
    private final Path log;
    private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    private final List<String> uris = new ArrayList<>();
    private final CompletableFuture<Void> output;

    private ServerProcess(Process process, Path log) {
        this.process = process;
        this.log = log;
        output = CompletableFuture.runAsync(this::readLines, Thread::startVirtualThread);
    }

    /** Starts {@code serve} with these words and returns once it has printed that many URIs. */
    static ServerProcess start(int uriCount, String words, Object... more)
            throws IOException, InterruptedException {
        return start(List.of(), uriCount, Command.words(words, more));
    }

    /** Starts {@code serve} with an environment variable, given as NAME=VALUE, and these words. */
    static ServerProcess startInEnvironment(
            String variable, int uriCount, String words, Object... more)
            throws IOException, InterruptedException {
        return start(List.of(variable), uriCount, Command.words(words, more));
    }

    /**
     * Starts {@code serve} on a free TCP port of 127.0.0.1 for less than a second: without the
     * compiler that takes longer than that to pay, which halves the CPU time of a start.
     */
    static ServerProcess startBriefly(String words, Path pool)
            throws IOException, InterruptedException {
        return startWith(JAVA_OPTIONS + " -XX:TieredStopAtLevel=1", words, pool);
    }

    /** Starts {@code serve} on a free TCP port of 127.0.0.1 in a JVM with these options alone. */
    static ServerProcess startWith(String javaOptions, String words, Path pool)
            throws IOException, InterruptedException {
        String options = "PMEMBLK_NBD_JAVA_OPTS=" + javaOptions;
        String listening = "--listen 127.0.0.1:0 " + words;
        return start(List.of(options), 1, Command.words(listening.strip(), pool));
    }

    /** Starts {@code serve} as the command of another program, whose words spaces separate. */
    static ServerProcess startUnder(String program, String words, Path pool)
            throws IOException, InterruptedException {
        return start(Command.words(program), 1, Command.words(words, pool));
    }

    private static ServerProcess start(List<String> before, int uriCount, List<String> words)
            throws IOException, InterruptedException {
        // A test run in the background ignores SIGINT, and what it starts would ignore it, too.
        List<String> command = new ArrayList<>(List.of("env", "--default-signal=INT"));
        command.addAll(before);
        command.addAll(List.of(LAUNCHER.toString(), "serve"));
        command.addAll(words);
        Path log = Files.createTempFile("pmemblk-nbd", ".log");
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(log.toFile());
        builder.environment().put("PMEMBLK_NBD_JAVA_OPTS", JAVA_OPTIONS);
        ServerProcess server = new ServerProcess(builder.start(), log);
        while (server.uris.size() < uriCount) {
            String line = server.lines.poll(START_LIMIT.toSeconds(), TimeUnit.SECONDS);
            if (line == null || line.equals(END_OF_OUTPUT)) {
                server.process.destroyForcibly().waitFor();
                throw new AssertionFailedError(command + " did not start: " + server.log());
            }
            server.uris.add(line);
        }
        return server;
    }

    /** Serves a pool that exists on a free TCP port of 127.0.0.1. */
    static ServerProcess startTcp(Path pool) throws IOException, InterruptedException {
        return start(1, "--listen 127.0.0.1:0", pool);
    }

    private void readLines() {
        try (BufferedReader reader = process.inputReader()) {
            reader.lines().forEach(lines::add);
        } catch (IOException e) {
            lines.add("cannot read standard output: " + e);
        }
        lines.add(END_OF_OUTPUT);
    }

    List<String> uris() {
        return uris;
    }

    String uri() {
        return uris.get(0);
    }

    /** Where the first URI points, which must be one for TCP. */
    InetSocketAddress address() {
        URI uri = URI.create(uri());
        return new InetSocketAddress(uri.getHost(), uri.getPort());
    }

    long pid() {
        return process.pid();
    }

    /** How many files and sockets it has open. */
    long openFiles() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("/proc/" + pid() + "/fd"))) {
            return files.count();
        }
    }

    /** Bytes of memory that it has to itself: none that are in a file, nor a pool in tmpfs. */
    long ownMemory() throws IOException {
        return memory("RssAnon");
    }

    /** Bytes of all the memory that it has by now, what it maps of files included. */
    long residentMemory() throws IOException {
        return memory("VmRSS");
    }

    private long memory(String kind) throws IOException {
        String kibibytes =
                Files.readAllLines(Path.of("/proc/" + pid() + "/status")).stream()
                        .filter(line -> line.startsWith(kind + ":"))
                        .findFirst()
                        .orElseThrow()
                        .replaceAll("\\D", "");
        return Long.parseLong(kibibytes) << 10;
    }

    String log() throws IOException {
        return Files.readString(log);
    }

    /** Waits until the log says this. */
    void awaitLog(String part) throws IOException, InterruptedException {
        Instant deadline = Instant.now().plus(LOG_LIMIT);
        while (!log().contains(part)) {
            if (process.waitFor(POLL.toMillis(), TimeUnit.MILLISECONDS)
                    || Instant.now().isAfter(deadline)) {
                throw new AssertionFailedError("the log does not say " + part + ": " + log());
            }
        }
    }

    /** Waits for so long, unless the server ends. */
    void awaitEndFor(Duration time) throws InterruptedException {
        process.waitFor(time.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** kill -9. */
    void kill() throws InterruptedException {
        process.destroyForcibly();
        process.waitFor();
    }

    /** Sends SIGTERM. */
    void terminate() {
        process.destroy();
    }

    void interrupt() throws IOException, InterruptedException {
        Command.of("kill", "-INT", Long.toString(process.pid())).succeed();
    }

    /** Waits for the end that a signal has announced; returns the exit status. */
    int awaitEnd() throws IOException {
        try {
            return process.onExit()
                    .orTimeout(STOP_LIMIT.toSeconds(), TimeUnit.SECONDS)
                    .join()
                    .exitValue();
        } catch (CompletionException e) {
            process.destroyForcibly();
            throw new AssertionFailedError("not stopped after " + STOP_LIMIT + ": " + log(), e);
        }
    }

    @Override
    public void close() throws IOException {
        boolean ranUntilNow = process.isAlive();
        terminate();
        int status = awaitEnd();
        String log = log();
        Files.delete(this.log);
        if (ranUntilNow && status != 0) {
            throw new AssertionFailedError("SIGTERM ended the server with " + status + ": " + log);
        }
        output.join();
        String surplus = lines.remove();
        if (!surplus.equals(END_OF_OUTPUT)) {
            throw new AssertionFailedError("standard output goes on after the URIs: " + surplus);
        }
        if (log.contains(" ERROR ") || log.contains("LEAK") || log.contains("Exception")) {
            throw new AssertionFailedError("the log has errors: " + log);
        }
    }
}
