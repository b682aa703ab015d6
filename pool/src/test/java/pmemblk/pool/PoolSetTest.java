package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Pool sets that the real tools made are the same pool here; what is not supported is named. */
class PoolSetTest {
    @TempDir private Path folder;

    /** A set file of these lines, in which {@code @} stands for the folder. */
    private Path set(String... lines) throws IOException {
        String text = "PMEMPOOLSET\n" + String.join("\n", lines) + "\n";
        return Files.writeString(folder.resolve("pool.set"), text.replace("@", folder.toString()));
    }

    private static void makeWithPmempool(Path set, int blockSize) throws Exception {
        Process process =
                new ProcessBuilder(
                                "pmempool",
                                "create",
                                "blk",
                                Integer.toString(blockSize),
                                set.toString())
                        .inheritIO()
                        .start();
        assertEquals(0, process.waitFor());
    }

    private static byte[] content(long block, int blockSize, int round) {
        byte[] bytes = new byte[blockSize];
        new SplittableRandom(31 * block + round).nextBytes(bytes);
        return bytes;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "4096 | 20M @/a; 20M @/b",
                "512  | 10M @/a; 3M @/b; 12M @/c",
                "520  | 10500000B @/a; 9000K @/b; 2MiB @/c # the last one",
                "512  | OPTION SINGLEHDR; 20M @/a; 10001kB @/b",
                "4096 | # alone; 21MB @/a",
            })
    void eachReadsWhatTheOtherWroteToASetOfPmempool(int blockSize, String lines) throws Exception {
        Path set = set(lines.split("; ", -1));
        makeWithPmempool(set, blockSize);
        long[] blocks;
        try (LibPmemblk real = LibPmemblk.open(set, blockSize)) {
            long last = real.blockCount() - 1;
            LongStream some = new SplittableRandom(3).longs(200, 0, last);
            blocks = LongStream.concat(LongStream.of(last), some).distinct().toArray();
            for (long block : blocks) {
                real.write(block, content(block, blockSize, 1));
            }
        }

        try (BlockPool pool = BlockPool.open(set, PoolOptions.DEFAULT)) {
            assertEquals(blocks[0] + 1, pool.blockCount());
            for (long block : blocks) {
                ByteBuffer found = ByteBuffer.allocate(blockSize);
                pool.read(block, found);
                assertArrayEquals(content(block, blockSize, 1), found.array());
                pool.write(block, ByteBuffer.wrap(content(block, blockSize, 2)));
            }
        }

        assertEquals(List.of(), BlockPool.check(set, 0).damage());
        assertNull(LibPmemblk.pmempoolComplaint(set));
        try (LibPmemblk real = LibPmemblk.open(set, blockSize)) {
            for (long block : blocks) {
                assertArrayEquals(content(block, blockSize, 2), real.read(block));
            }
        }
    }

    @Test
    void partsOnStorageOfDifferentKindsAreRefused(@TempDir(factory = InMemory.class) Path memory)
            throws Exception {
        Path set = set("21MB @/a", "21MB " + memory.resolve("b"));
        makeWithPmempool(set, 512);

        PoolFileException refused =
                assertThrows(
                        PoolFileException.class, () -> BlockPool.open(set, PoolOptions.DEFAULT));

        String message = String.valueOf(refused.getMessage());
        assertTrue(message.contains(folder.resolve("a") + " lies on ordinary file"), message);
        assertTrue(message.contains(memory.resolve("b") + " on tmpfs"), message);
    }

    /** In the text {@code @} stands for the folder, \\r and so on for what they are in Java. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    opens | PMEMPOOLSET\\n10M @/a\\n10M @/b
                    opens | PMEMPOOLSET\\n  10M @/a\\n\\t10M @/b\\n
                    opens | PMEMPOOLSET\\n10M\\t@/a\\n10M \\t @/b\\n
                    opens | PMEMPOOLSET\\n10M @/a  \\n10M @/b\\t\\n
                    opens | PMEMPOOLSET\\r\\n\\r\\n10M @/a\\r\\n10M @/b\\r\\n
                    opens | PMEMPOOLSET\\n\\n10M @/a\\n\\n10M @/b\\n\\n
                    opens | PMEMPOOLSET\\n# c\\n10M @/a # c\\n10M @/b#c\\n#c
                    opens | PMEMPOOLSET\\n# c\\r10M @/c\\n10M @/a # c\\r10M @/c\\n10M @/b\\n
                    opens | PMEMPOOLSET\\n+10M @/a\\n010M @/b\\n
                    opens | PMEMPOOLSET\\nOPTION \\t SINGLEHDR \\n20M @/single\\n
                    opens | PMEMPOOLSET\\nOPTION SINGLEHDR SINGLEHDR # c\\n20M @/single\\n
                    opens | PMEMPOOLSET\\n20M @/single\\nOPTIONSINGLEHDR\\r\\n
                    fails | \\sPMEMPOOLSET\\n10M @/a\\n10M @/b\\n
                    fails | \\nPMEMPOOLSET\\n10M @/a\\n10M @/b\\n
                    fails | # c\\nPMEMPOOLSET\\n10M @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET \\n10M @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET# c\\n10M @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET\\r10M @/a\\r10M @/b\\r
                    fails | PMEMPOOLSET
                    fails | PMEMPOOLSET\\n10M @/a\\r10M @/b\\n
                    fails | PMEMPOOLSET\\n10M @/a\\r\\r\\n10M @/b\\n
                    fails | PMEMPOOLSET\\n10M @/a\\n10M @/b\\r
                    fails | PMEMPOOLSET\\n \\n10M @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET\\n\\t\\n10M @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET\\n # c\\n10M @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET\\n OPTION SINGLEHDR\\n20M @/single\\n
                    fails | PMEMPOOLSET\\nOPTION\\n20M @/single\\n
                    fails | PMEMPOOLSET\\nOPTIONS SINGLEHDR\\n20M @/single\\n
                    fails | PMEMPOOLSET\\n20M @/single\\n REPLICA\\n20M @/c\\n
                    fails | PMEMPOOLSET\\n20M @/single\\nREPLICAS\\n
                    fails | PMEMPOOLSET\\nAUTO @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET\\nAUTOMATIC @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET\\n10m @/a\\n10M @/b\\n
                    fails | PMEMPOOLSET\\n10 M @/a\\n10M @/b\\n
                    """)
    void blanksLineEndsAndCommentsAreTakenAsByPmdk(String outcome, String text) throws Exception {
        makeWithPmempool(set("10M @/a", "10M @/b"), 512);
        makeWithPmempool(set("OPTION SINGLEHDR", "20M @/single"), 512);
        Path set = folder.resolve("pool.set");
        Files.writeString(set, text.translateEscapes().replace("@", folder.toString()));

        if (outcome.equals("opens")) {
            LibPmemblk.open(set, 512).close();
            BlockPool.open(set, PoolOptions.DEFAULT).close();
        } else {
            assertThrows(IOException.class, () -> LibPmemblk.open(set, 512));
            PoolException e =
                    assertThrows(
                            PoolException.class, () -> BlockPool.open(set, PoolOptions.DEFAULT));
            assertTrue(String.valueOf(e.getMessage()).startsWith(folder.toString()));
        }
    }

    @Test
    void damageInALaterPartIsNamedByItsFileAndOffset() throws Exception {
        Path set = set("10M @/a", "12M @/b");
        makeWithPmempool(set, 4096);
        BlockPool.open(set, PoolOptions.DEFAULT).close();
        Path last = folder.resolve("b");
        byte[] sound = Files.readAllBytes(last);
        byte[] damaged = sound.clone();
        damaged[sound.length - 4096]++;
        Files.write(last, damaged);

        Damage damage = BlockPool.check(set, 0).damage().getFirst();

        assertEquals("backup info block", damage.place());
        assertEquals(last, damage.file());
        assertEquals(sound.length - 4096, damage.offset());
        assertTrue(PoolCheck.repair(set, PoolOptions.DEFAULT, Progress.NONE).isConsistent());
        assertArrayEquals(sound, Files.readAllBytes(last));
        assertNull(LibPmemblk.pmempoolComplaint(set));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "20M @/a; REPLICA; 20M @/b         | line 3: replicas are not supported",
                "20M @/a; REPLICA 127.0.0.1 b.set  | line 3: replicas are not supported",
                "OPTION NOHDRS; 20M @/a            | line 2: the option 'OPTION NOHDRS'",
                "OPTION FUTURE; 20M @/a            | line 2: the option 'OPTION FUTURE'",
                "AUTO /dev/dax0.0                  | line 2: the size AUTO is for device DAX",
                "OPTION SINGLEHDR; 20M @           | pool sets of directories are not supported",
            })
    void whatIsNotSupportedIsRefusedByName(String lines, String reason) throws IOException {
        Path set = set(lines.split("; ", -1));

        UnsupportedPoolException opened =
                assertThrows(
                        UnsupportedPoolException.class,
                        () -> BlockPool.open(set, PoolOptions.DEFAULT));
        assertTrue(String.valueOf(opened.getMessage()).contains(reason), opened.getMessage());
        assertThrows(UnsupportedPoolException.class, () -> BlockPool.check(set, 0));
    }

    @Test
    void aDirectoryOfPartsThatPmempoolMadeIsRefusedByName() throws Exception {
        Files.createDirectory(folder.resolve("parts"));
        Path set = set("OPTION SINGLEHDR", "20M @/parts");
        makeWithPmempool(set, 512);

        assertThrows(
                UnsupportedPoolException.class, () -> BlockPool.open(set, PoolOptions.DEFAULT));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "20M",
                "20M relative",
                "20M @/a more",
                "20X @/a",
                "0 @/a",
                "99999999999999999999M @/a",
                "20M /a\0b",
                "   ",
                " # indented",
                "option singlehdr",
            })
    void whatIsNoSetFileIsRefusedWithItsLine(String line) throws IOException {
        Path set = set(line);

        CorruptPoolException e =
                assertThrows(
                        CorruptPoolException.class, () -> BlockPool.open(set, PoolOptions.DEFAULT));

        assertTrue(String.valueOf(e.getMessage()).startsWith(set + ", line 2: "), e.getMessage());
    }

    @Test
    void aSetWhosePartIsMissingOrOfAnotherSizeIsRefused() throws Exception {
        Path set = set("20M @/a", "20M @/b");
        makeWithPmempool(set, 4096);
        set("20M @/a", "21M @/b");
        assertThrows(CorruptPoolException.class, () -> BlockPool.open(set, PoolOptions.DEFAULT));

        set("20M @/a", "20M @/c");
        assertThrows(PoolNotFoundException.class, () -> BlockPool.open(set, PoolOptions.DEFAULT));

        set("20M @/b", "20M @/a");
        assertThrows(CorruptPoolException.class, () -> BlockPool.open(set, PoolOptions.DEFAULT));
    }

    @Test
    void aPartByItselfIsRefused() throws Exception {
        Path set = set("20M @/a", "20M @/b");
        makeWithPmempool(set, 4096);

        for (String part : List.of("a", "b")) {
            CorruptPoolException e =
                    assertThrows(
                            CorruptPoolException.class,
                            () -> BlockPool.open(folder.resolve(part), PoolOptions.DEFAULT));
            assertTrue(String.valueOf(e.getMessage()).contains("part of a pool set"));
        }
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(3, files.count());
        }
    }
}
