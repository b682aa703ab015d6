package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Very many clients, and clients that mean harm: a server stays small and goes on serving. */
class HostileClientsIT {
    private static final long MIB = 1 << 20;
    private static final Duration SETTLING = Duration.ofSeconds(20);

    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    // Coming and going.

    @Test
    void tenThousandConnectionsLeaveNoFileAndNoMemoryBehind() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        String options =
                "-ea -Xms64m -Xmx64m -XX:+AlwaysPreTouch -Dio.netty.leakDetection.level=paranoid";

        try (ServerProcess server = ServerProcess.startWith(options, "", pool)) {
            comeAndGo(server.address(), 3000);
            long files = settledFiles(server, 0);

            // What is left behind is so in every round; what the JVM takes to settle is not.
            long growth = Long.MAX_VALUE;
            for (int round = 0; round < 3 && growth >= 16 * MIB; round++) {
                long memory = server.ownMemory();
                comeAndGo(server.address(), 10_000);
                assertEquals(files, settledFiles(server, files));
                growth = server.ownMemory() - memory;
                System.out.printf("10,000 connections: %d KiB more memory%n", growth >> 10);
            }

            assertTrue(growth < 16 * MIB, growth + " bytes more");
            requireServing(server.address());
        }
    }

    private static void comeAndGo(InetSocketAddress server, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            switch (i % 3) {
                case 0 -> {
                    NbdConnection client = new NbdConnection(server, "disk");
                    client.read(4096L * (i % 1000), 4096);
                    client.disconnect();
                }
                case 1 -> {
                    NbdConnection client = new NbdConnection(server, "disk");
                    client.sendRead(0, 1 << 20);
                    client.send(NbdConnection.WRITE, 0, 0, 4096, new byte[i % 4096]);
                    client.reset();
                }
                default -> {
                    try (Socket client = new Socket(server.getAddress(), server.getPort())) {
                        client.getOutputStream().write(new byte[] {0, 0, 0, 3, 'I', 'H'}, 0, i % 7);
                        client.setSoLinger(i % 2 == 0, 0);
                    }
                }
            }
        }
    }

    /** What ended qemu-nbd: a signal, for writing to a client that was gone. */
    @Test
    void cve2017_10664AThousandResetsInMidReplyHarmNobody() throws Exception {
        Path pool = directory.resolve("disk.pool");
        Command.pmemblkNbd("create --size 64M", pool).succeed();

        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            requireServing(server.address());
            long files = settledFiles(server, 0);
            Duration longest = Duration.ZERO;
            for (int i = 0; i < 1000; i++) {
                NbdConnection client = new NbdConnection(server.address(), "disk");
                client.sendRead(0, 32 << 20);
                client.awaitReply();
                client.reset();
                if (i % 100 == 0) {
                    Duration time = requireServing(server.address());
                    longest = time.compareTo(longest) > 0 ? time : longest;
                }
            }

            System.out.printf("1,000 resets in mid-reply: served in %s at most%n", longest);
            assertTrue(longest.toMillis() < 1000, longest::toString);
            assertEquals(files, settledFiles(server, files));
        }
    }

    /** The open files once they are so many, or after some time. */
    private static long settledFiles(ServerProcess server, long expected)
            throws IOException, InterruptedException {
        long deadline = System.nanoTime() + SETTLING.toNanos();
        long before = -1;
        while (true) {
            long now = server.openFiles();
            boolean settled = expected == 0 ? now == before : now <= expected;
            if (settled || System.nanoTime() > deadline) {
                return now;
            }
            before = now;
            server.awaitEndFor(Duration.ofMillis(500));
        }
    }

    private static Duration requireServing(InetSocketAddress server) throws IOException {
        long start = System.nanoTime();
        NbdConnection client = new NbdConnection(server, "disk");
        client.read(0, 4096);
        client.disconnect();
        return Duration.ofNanos(System.nanoTime() - start);
    }

    // Handshakes that do not end.

    @ParameterizedTest
    @CsvSource({"'', 0", "--max-handshakes 2000 --max-connections 2000, 10"})
    void idleHandshakesKeepNobodyWaitingAndAreGoneInTime(String words, int leastSeconds)
            throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);

        try (ServerProcess server = ServerProcess.startWith("-ea -Xmx256m", words, pool);
                IdleHandshakes idlers = new IdleHandshakes()) {
            requireServing(server.address());
            for (int i = 0; i < 1000; i++) {
                idlers.addSilent(server.address());
                if (i % 10 == 0) {
                    idlers.addSlow(server.address());
                }
            }
            Duration longest = Duration.ZERO;
            for (int i = 0; i < 100 && idlers.open() > 0; i++) {
                Duration time = requireServing(server.address());
                longest = time.compareTo(longest) > 0 ? time : longest;
                idlers.run(Duration.ofMillis(200));
            }

            List<Duration> lifetimes = idlers.lifetimes().stream().sorted().toList();
            System.out.printf(
                    "1,100 idle handshakes, '%s': served in %s at most; they lived %s to %s%n",
                    words, longest, lifetimes.getFirst(), lifetimes.getLast());
            assertEquals(0, idlers.open());
            assertTrue(longest.toMillis() < 1000, longest::toString);
            assertTrue(lifetimes.getFirst().toMillis() >= 1000L * leastSeconds - 100);
            assertTrue(lifetimes.getLast().toMillis() < 12_000, () -> "" + lifetimes.getLast());
        }
    }

    // More bytes than memory.

    @Test
    void thousandClientsWith32MebibytesEachAtOnceGetOnInLittleMemory() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 16384);
        String options = "-ea -Xmx256m -XX:MaxDirectMemorySize=512m";

        try (ServerProcess server = ServerProcess.startWith(options, "", pool);
                WriteFlood flood = new WriteFlood()) {
            long files = server.openFiles();
            long before = server.ownMemory();
            AtomicLong peak = new AtomicLong(before);
            for (int i = 0; i < 1000; i++) {
                flood.add(server.address());
            }

            List<Duration> times =
                    runOrSayWhy(
                            server,
                            flood,
                            () -> peak.accumulateAndGet(server.ownMemory(), Math::max));

            assertEquals(files, settledFiles(server, files));
            long after = server.ownMemory();
            System.out.printf(
                    "1,000 writes of 32 MiB in %s: memory %d MiB, %d at most, %d in the end%n",
                    times.getLast(), before / MIB, peak.get() / MIB, after / MIB);
            assertTrue(times.getLast().toSeconds() < 60, () -> times.getLast() + " without reply");
            assertTrue(peak.get() < 1024 * MIB, peak + " bytes at most");
            assertTrue(after - before < 512 * MIB, after - before + " bytes more in the end");
            assertFalse(server.log().contains("OutOfMemory"));
            requireServing(server.address());
        }
    }

    private static List<Duration> runOrSayWhy(
            ServerProcess server, WriteFlood flood, WriteFlood.Sampling between)
            throws IOException {
        try {
            return flood.run(Duration.ofSeconds(90), between);
        } catch (AssertionError e) {
            throw new AssertionError(server.log(), e);
        }
    }
}
