package pmemblk.it;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.net.ProtocolException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import org.opentest4j.AssertionFailedError;

/**
 * A server that has a place for one client, whose machine leaves the network without a word. A
 * program that {@link OwnMounts} runs, in a network of its own.
 */
final class GoneClientTrial {
    private static final String SERVER = "10.9.9.1";
    private static final String CLIENT = "10.9.9.2";

    /**
     * Waits for its network, connects, then says and does nothing any more. The pause is for its
     * system to acknowledge the reply: the server's would send that again and ask nothing.
     */
    private static final String CLIENT_PROGRAM =
            """
            import time
            input()
            h.connect_uri(input())
            h.pread(512, 0)
            time.sleep(1)
            print('up', flush=True)
            input()
            """;

    /**
     * Takes the place of the server at its socket, with the pid and the client's address as
     * arguments: prints after how many seconds of silence it asks for a sign of life, how many are
     * between the questions, and how many of these there are; then makes the times short.
     */
    private static final String HASTEN =
            """
            import ctypes, os, sys
            from socket import *
            pid, client = sys.argv[1:]
            handle = os.pidfd_open(int(pid))
            for fd in os.listdir(f'/proc/{pid}/fd'):
                if not os.readlink(f'/proc/{pid}/fd/{fd}').startswith('socket:'): continue
                copy = socket(fileno=ctypes.CDLL(None).syscall(438, handle, int(fd), 0))
                try: peer = copy.getpeername()
                except OSError: continue
                if copy.family == AF_UNIX or not peer[0].endswith(client): continue
                options = TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT
                print(*[copy.getsockopt(IPPROTO_TCP, option) for option in options])
                for option in options[:2]: copy.setsockopt(IPPROTO_TCP, option, 1)
            """;

    /** What the README says. */
    private static final int SILENT_SECONDS = 120;

    private static final Duration LIMIT = Duration.ofSeconds(40);

    private GoneClientTrial() {}

    /** Argument: a folder on tmpfs. */
    public static void main(String[] arguments) {
        OwnMounts.exitAfter(() -> run(Path.of(arguments[0])));
    }

    private static void run(Path folder) throws IOException, InterruptedException {
        Process client =
                new ProcessBuilder(
                                "unshare",
                                "--net",
                                "/usr/bin/python3",
                                "-mnbd",
                                "-c",
                                CLIENT_PROGRAM)
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        try (BufferedReader said = client.inputReader();
                Writer told = client.outputWriter()) {
            connectMachines(client.pid());
            Path pool = Pools.create(folder, "disk.pool", 4096);
            String words = "--max-clients disk=1 --listen " + SERVER + ":0";
            try (ServerProcess server = ServerProcess.start(1, words, pool)) {
                told.write("\n" + server.uri() + "\n");
                told.flush();
                require("up".equals(said.readLine()), "the client does not connect");

                // No answer comes from there any more, not even that it is unknown.
                ofClient(client.pid(), "ip addr flush dev client");
                require(!hasPlace(server), "there is a place beside the client");
                hasten(server);

                awaitPlace(server);
            }
        } finally {
            client.destroyForcibly();
        }
    }

    private static void connectMachines(long client) throws IOException, InterruptedException {
        awaitOwnNetwork(client);
        Command.of("ip link set lo up").succeed();
        Command.of("ip link add server type veth peer name client netns", client).succeed();
        Command.of("ip addr add " + SERVER + "/24 dev server").succeed();
        Command.of("ip link set server up").succeed();
        ofClient(client, "ip addr add " + CLIENT + "/24 dev client");
        ofClient(client, "ip link set client up");
    }

    private static void awaitOwnNetwork(long client) throws IOException {
        Path ours = Files.readSymbolicLink(Path.of("/proc/self/ns/net"));
        long end = System.nanoTime() + LIMIT.toNanos();
        while (Files.readSymbolicLink(Path.of("/proc/" + client + "/ns/net")).equals(ours)) {
            require(System.nanoTime() < end, "the client has no network of its own");
            Thread.onSpinWait();
        }
    }

    private static void ofClient(long client, String command)
            throws IOException, InterruptedException {
        Command.of("nsenter --net=/proc/" + client + "/ns/net " + command).succeed();
    }

    private static boolean hasPlace(ServerProcess server) throws IOException {
        try (NbdConnection connection = new NbdConnection(server.address(), "disk")) {
            return connection.exportSize() > 0;
        } catch (ProtocolException refused) {
            return false;
        }
    }

    private static void hasten(ServerProcess server) throws IOException, InterruptedException {
        String times =
                Command.of("/usr/bin/python3 -c", HASTEN, server.pid(), CLIENT)
                        .succeed()
                        .output()
                        .strip();
        int[] found = Arrays.stream(times.split(" ", -1)).mapToInt(Integer::parseInt).toArray();
        require(found.length == 3, "not one socket of the client: " + times);
        require(found[0] + found[1] * found[2] <= SILENT_SECONDS, "it takes longer: " + times);
        System.out.println("asks after " + times + " (idle, interval, count)");
    }

    private static void awaitPlace(ServerProcess server) throws IOException, InterruptedException {
        long begin = System.nanoTime();
        while (!hasPlace(server)) {
            require(System.nanoTime() - begin < LIMIT.toNanos(), "the place does not become free");
            server.awaitEndFor(Duration.ofMillis(100));
        }
        Duration took = Duration.ofNanos(System.nanoTime() - begin);
        System.out.println("hastened, the place was free after " + took);
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionFailedError(otherwise);
        }
    }
}
