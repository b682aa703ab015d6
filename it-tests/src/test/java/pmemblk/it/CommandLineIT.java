package pmemblk.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the commands do to pools, and what they say of them. */
class CommandLineIT {
    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    private Command command(String line, Object... more) {
        return Command.pmemblkNbd(line, more).in(directory);
    }

    @Test
    void poolThatIsServedIsInUseForEverybodyElse() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);

        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            for (String name : List.of("info", "check", "serve", "grow --size 64M")) {
                command(name, pool)
                        .end(2)
                        .assertOneLine(name.replaceFirst(" .*", ""), pool + " is in use");
            }
            Command.of("pmempool check", pool).end(1);
            assertEquals(1, server.uris().size());
        }
        command("check", pool).succeed();
    }

    @Test
    void portThatIsTakenIsNamed() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        Path other = Pools.create(directory, "other.pool", 4096);

        try (ServerProcess server = ServerProcess.startTcp(pool)) {
            String address = "127.0.0.1:" + server.address().getPort();
            command("serve --listen", address, other).end(2).assertOneLine("serve", address);
        }
        command("check", other).succeed();
    }

    @Test
    void pathsMayHaveAnyLettersWhateverTheLocale() throws Exception {
        // By a shell, as this JVM may have a locale without such letters itself.
        String script =
                """
                pool=$(printf 'Ger\\303\\244t.pool')
                "$0" create --size 17M "$pool" && "$0" info "$pool" && rm "$pool"
                """;

        String info =
                Command.of("sh -c", script, ServerProcess.LAUNCHER)
                        .in(directory)
                        .with("LC_ALL", "C")
                        .succeed()
                        .output();

        assertTrue(info.contains("Gerät.pool"), info);
    }

    @Test
    void outputThatCannotBeWrittenIsAFailure() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);

        String script = "\"$0\" info \"$1\" >/dev/full";
        Command.Outcome outcome = Command.of("sh -c", script, ServerProcess.LAUNCHER, pool).end(2);

        assertTrue(outcome.errors().contains("standard output takes no more"), outcome::toString);
    }

    @Test
    void helpOfACommandComesEitherWay() throws Exception {
        String help = command("help serve").succeed().output();

        assertEquals(command("serve --help").succeed().output(), help);
        assertTrue(help.contains("--durability"), help);
    }

    @Test
    void allAddressesOfIpv4AreNoneOfIpv6() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);

        try (ServerProcess server = ServerProcess.start(1, "--listen 0.0.0.0:0", pool)) {
            assertTrue(server.uri().startsWith("nbd://0.0.0.0:"), server.uri());
            int port = server.address().getPort();
            new Socket(InetAddress.ofLiteral("127.0.0.1"), port).close();
            assertThrows(
                    ConnectException.class,
                    () -> new Socket(InetAddress.ofLiteral("::1"), port).close());
        }
    }

    @Test
    void clientWhoIsRefusedIsInTheLog() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);

        try (ServerProcess server =
                ServerProcess.start(1, "--allow 192.0.2.0/24 --listen 127.0.0.1:0", pool)) {
            new Socket(InetAddress.ofLiteral("127.0.0.1"), server.address().getPort()).close();
            server.awaitLog("its network is not allowed");
        }
    }

    @Test
    void createMakesAPoolThatPmempoolKnows() throws Exception {
        command("create --size 17MiB --block-size 520 --mode 0640 a.pool").succeed();

        Path pool = directory.resolve("a.pool");
        assertEquals(17 << 20, Files.size(pool));
        assertEquals(
                PosixFilePermissions.fromString("rw-r-----"), Files.getPosixFilePermissions(pool));
        String info = Command.of("pmempool info", pool).succeed().output();
        assertTrue(info.replaceAll(" +", " ").contains("Block size : 520"), info);
        Pools.checkWithPmempool(pool);
    }

    @Test
    void serveMakesAnAbsentPoolAndOpensItTheNextTime() throws Exception {
        Path pool = directory.resolve("disk.pool");
        String words = "--create 17M --listen 127.0.0.1:0";

        try (ServerProcess server = ServerProcess.start(1, words, pool)) {
            Command.of("qemu-io -f raw -c", "write -P 7 0 4k", server.uri()).succeed();
        }
        try (ServerProcess server = ServerProcess.start(1, words, pool)) {
            Command.of("qemu-io -f raw -c", "read -P 7 0 4k", server.uri()).succeed();
        }
        String info = command("info disk.pool").succeed().output();
        assertTrue(info.contains("of 4096 bytes"), info);
    }

    @Test
    void ipv6AddressIsPrintedInBrackets() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);

        try (ServerProcess server = ServerProcess.start(1, "--listen [::1]:0", pool)) {
            assertTrue(server.uri().startsWith("nbd://["), server.uri());
            Command.of("nbdinfo", server.uri()).succeed();
        }
    }

    @Test
    void infoSaysWhatSurvivesOnTmpfsAndOnAFile(@TempDir(factory = Place.Disk.class) Path disk)
            throws Exception {
        Path onTmpfs = Pools.create(directory, "disk.pool", 4096);
        Path onDisk = Pools.create(disk, "disk.pool", 4096);

        String tmpfs = command("info", onTmpfs).succeed().output();
        String file = command("info", onDisk).succeed().output();

        assertTrue(tmpfs.contains("After power cut:  nothing\n"), tmpfs);
        assertTrue(tmpfs.contains("After kill -9:    every replied write\n"), tmpfs);
        assertTrue(file.contains("After power cut:  every flushed write"), file);
        assertTrue(file.contains("After kill -9:    every replied write\n"), file);
    }

    @Test
    void damageIsFoundListedAndStatus1() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        command("block write disk.pool 0").input("x".getBytes(UTF_8)).succeed();
        corruptFirstMapEntry(pool);

        Command.Outcome found = command("check disk.pool").end(1);

        assertTrue(found.output().contains("block"), found::toString);
        assertEquals(1, found.errors().lines().count(), found::toString);
        assertTrue(found.errors().startsWith("pmemblk-nbd check: disk.pool is damaged"));
    }

    @Test
    void repairIsShownFirstAndDoneWhenApplied() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        command("block write disk.pool 0").input("x".getBytes(UTF_8)).succeed();
        byte[] sound = Files.readAllBytes(pool);
        byte[] damaged = sound.clone();
        damaged[8192 + 60]++;
        Files.write(pool, damaged);

        Command.Outcome found = command("check disk.pool").end(1);
        assertTrue(found.errors().contains("--repair shows how"), found::toString);
        Command.Outcome shown = command("check --repair disk.pool").end(1);
        assertTrue(
                shown.output()
                        .startsWith(
                                "would be repaired: disk.pool: arena 0, primary info block at"
                                        + " offset 0x2000: expected one like its backup"),
                shown::toString);
        assertArrayEquals(damaged, Files.readAllBytes(pool));

        Command.Outcome repaired = command("check --repair --apply disk.pool").succeed();
        assertTrue(repaired.output().startsWith("repaired: disk.pool: arena 0"));
        assertTrue(repaired.output().endsWith("disk.pool: consistent\n"), repaired::toString);
        assertEquals("", repaired.errors());
        assertArrayEquals(sound, Files.readAllBytes(pool));
        Pools.checkWithPmempool(pool);
    }

    @Test
    void checkSaysWhatItFoundInJson() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 4096);
        command("block write disk.pool 0").input("x".getBytes(UTF_8)).succeed();
        String sound = command("check --json disk.pool").succeed().output();
        corruptFirstMapEntry(pool);

        String damaged = command("check --json disk.pool").end(1).output();

        assertTrue(sound.contains("\"consistent\": true,\n  \"damage\": []"), sound);
        assertTrue(damaged.contains("\"place\": \"map entry\""), damaged);
        assertTrue(damaged.contains("\"block\": 1,"), damaged);
        assertTrue(damaged.contains("\"repairable\": false"), damaged);
    }

    @Test
    void progressIsShownOnATerminalAndNowhereElse() throws Exception {
        Pools.create(directory, "disk.pool", 4096);

        Command.Outcome piped = command("check disk.pool").succeed();
        Command.Outcome onTerminal =
                Command.of("script -qec", ServerProcess.LAUNCHER + " check disk.pool", "/dev/null")
                        .in(directory)
                        .succeed();

        assertEquals("disk.pool: consistent\n", piped.output());
        assertEquals("", piped.errors());
        assertTrue(onTerminal.output().contains("check 100%"), onTerminal::toString);
    }

    @Test
    void growMakesAPoolLarger() throws Exception {
        Path pool = Pools.create(directory, "disk.pool", 520);
        command("block write disk.pool 7").input("hello".getBytes(UTF_8)).succeed();

        Command.Outcome grown = command("grow --size 40M disk.pool").succeed();

        assertEquals("", grown.output() + grown.errors());
        assertEquals(40 << 20, Files.size(pool));
        assertEquals(
                ByteBuffer.wrap(Arrays.copyOf("hello".getBytes(UTF_8), 520)),
                command("block read disk.pool 7").succeed().bytes());
        Pools.checkWithPmempool(pool);
        command("grow --size 40M disk.pool").end(2).assertOneLine("grow", "choose a larger size");
    }

    /** Points the first map entry where the second points: a block with two owners. */
    private static void corruptFirstMapEntry(Path pool) throws IOException {
        try (FileChannel channel =
                FileChannel.open(pool, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            long arena = 8192;
            ByteBuffer mapOffset = ByteBuffer.allocate(Long.BYTES);
            channel.read(mapOffset, arena + 96);
            long map = arena + Long.reverseBytes(mapOffset.getLong(0));
            ByteBuffer normalEntryOfBlock1 =
                    ByteBuffer.allocate(Integer.BYTES).putInt(0, Integer.reverseBytes(0xC0000001));
            channel.write(normalEntryOfBlock1, map);
        }
    }

    @Test
    void blockIsWrittenReadZeroedAndPutIntoError() throws Exception {
        Pools.create(directory, "disk.pool", 520);
        byte[] expected = Arrays.copyOf("hello".getBytes(UTF_8), 520);

        command("block write disk.pool 7").input("hello".getBytes(UTF_8)).succeed();
        assertEquals(
                ByteBuffer.wrap(expected), command("block read disk.pool 7").succeed().bytes());

        command("block error disk.pool 7").succeed();
        command("block read disk.pool 7")
                .end(1)
                .assertOneLine("block read", "block 7 is in the error state");

        command("block zero disk.pool 7").succeed();
        assertEquals(ByteBuffer.allocate(520), command("block read disk.pool 7").succeed().bytes());

        command("block write disk.pool 7")
                .input(new byte[521])
                .end(2)
                .assertOneLine("block write", "more than a block of 520 bytes");
        Pools.checkWithPmempool(directory.resolve("disk.pool"));
    }
}
