package pmemblk.pool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Damage of every kind: what check says of it, what repair does about it, and pmempool then. */
class PoolCheckTest {
    // Where things lie in golden/mix-512: one arena, at 8192.
    private static final long ARENA = 8192;
    private static final long BACKUP = ARENA + 16_773_120;
    private static final long MAP = ARENA + 16_625_664;
    private static final long FLOG = ARENA + 16_756_736;
    private static final int INTERNAL_NLBA = 32_458;

    /** One arena of 512 GiB and one of 64 MiB. */
    private static final long TWO_ARENAS = (1L << 39) + 8192 + (64 << 20);

    @TempDir private Path folder;

    @TempDir(factory = InMemory.class)
    private Path heldWrites;

    private Path golden(String name) throws IOException {
        return Golden.unpack(Golden.named(name), folder);
    }

    private static void put(Path pool, long offset, byte... bytes) throws IOException {
        try (FileChannel file = FileChannel.open(pool, StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.wrap(bytes), offset);
        }
    }

    private static void putWord(Path pool, long offset, int word) throws IOException {
        put(
                pool,
                offset,
                ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(word).array());
    }

    private static void flip(Path pool, long offset) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(pool.toFile(), "rw")) {
            file.seek(offset);
            int old = file.read();
            file.seek(offset);
            file.write(~old);
        }
    }

    private static PoolCheck check(Path pool) throws IOException {
        return BlockPool.check(pool, 0);
    }

    private static PoolCheck repair(Path pool) throws IOException {
        return PoolCheck.repair(pool, PoolOptions.DEFAULT, Progress.NONE);
    }

    private static Damage onlyDamage(Path pool) throws IOException {
        List<Damage> damage = check(pool).damage();
        assertEquals(1, damage.size(), damage.toString());
        return damage.getFirst();
    }

    /** Repairs what there is, and sees that the pool is what it was before the damage. */
    private void requireRepaired(Path pool, byte[] sound) throws Exception {
        byte[] damaged = Files.readAllBytes(pool);
        List<Damage> found = check(pool).damage();
        assertArrayEquals(damaged, Files.readAllBytes(pool), "a check changes nothing");

        PoolCheck repaired = repair(pool);

        assertEquals(List.of(), repaired.damage());
        assertEquals(found, repaired.repaired());
        assertArrayEquals(sound, Files.readAllBytes(pool));
        assertNull(LibPmemblk.pmempoolComplaint(pool));
    }

    /** A repair finds the same as the check and leaves the file alone. */
    private static void requireNotRepaired(Path pool) throws IOException {
        byte[] damaged = Files.readAllBytes(pool);
        PoolCheck checked = check(pool);
        assertTrue(checked.damage().stream().noneMatch(Damage::repairable), checked.toString());

        PoolCheck repaired = repair(pool);

        assertEquals(checked.damage(), repaired.damage());
        assertEquals(List.of(), repaired.repaired());
        assertArrayEquals(damaged, Files.readAllBytes(pool));
    }

    // The header.

    @ParameterizedTest
    @ValueSource(longs = {0, 7, 8, 30, 44, 60, 76, 90, 119, 128, 136, 139, 142, 144, 2047})
    void aHeaderByteThatTheRestOfThePoolTellsIsPutRight(long offset) throws Exception {
        Path pool = golden("mix-512.pool.gz");
        byte[] sound = Files.readAllBytes(pool);
        flip(pool, offset);

        Damage damage = onlyDamage(pool);

        assertTrue(damage.place().startsWith("pool header"), damage.message());
        assertTrue(damage.repairable(), damage.message());
        requireRepaired(pool, sound);
    }

    @ParameterizedTest
    @ValueSource(longs = {12, 16, 20, 120, 4088, 4095})
    void aHeaderByteThatNothingElseTellsIsReportedAndNotGuessed(long offset) throws IOException {
        Path pool = golden("mix-512.pool.gz");
        flip(pool, offset);

        Damage damage = onlyDamage(pool);

        assertTrue(damage.place().startsWith("pool header"), damage.message());
        assertEquals(pool, damage.file());
        requireNotRepaired(pool);
    }

    @Test
    void twoDamagedCopiesOfAHeadersUuidAreOutvoted() throws Exception {
        Path pool = golden("mix-512.pool.gz");
        byte[] sound = Files.readAllBytes(pool);
        flip(pool, 40);
        flip(pool, 90);
        flip(pool, 24);

        requireRepaired(pool, sound);
    }

    @Test
    void theChecksumOfTheHeaderIsShownWithWhatItShouldBe() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        put(pool, 4088, (byte) 0xde);

        Damage damage = onlyDamage(pool);

        assertEquals(4088, damage.offset());
        assertEquals("0x631f6d7af6b092df", damage.expected());
        assertEquals("0x631f6d7af6b092de", damage.found());
        assertEquals(
                pool
                        + ": pool header, checksum at offset 0xff8: expected 0x631f6d7af6b092df,"
                        + " found 0x631f6d7af6b092de",
                damage.message());
    }

    @Test
    void aShutdownStateThatNobodyAskedForIsRemoved() throws Exception {
        Path pool = golden("nosds-512.pool.gz");
        byte[] sound = Files.readAllBytes(pool);
        flip(pool, 4040);
        assertNotNull(LibPmemblk.pmempoolComplaint(pool));

        assertEquals("pool header, sds", onlyDamage(pool).place());
        requireRepaired(pool, sound);
    }

    @Test
    void theHeaderOfALaterPartIsNamedByItsFile() throws IOException {
        Path set = golden("set-part1.pool.gz set-part2.pool.gz");
        flip(folder.resolve("set-part2.pool"), 30);

        Damage damage = onlyDamage(set);

        assertEquals(folder.resolve("set-part2.pool"), damage.file());
        assertFalse(damage.repairable());
    }

    // The descriptor.

    @ParameterizedTest
    @ValueSource(ints = {0, 4096, -1, 513})
    void aBlockSizeThatTheInfoBlocksContradictIsTheirs(int blockSize) throws Exception {
        Path pool = golden("mix-512.pool.gz");
        byte[] sound = Files.readAllBytes(pool);
        putWord(pool, 4096, blockSize);

        Damage damage = onlyDamage(pool);

        assertEquals("descriptor", damage.place());
        assertEquals(4096, damage.offset());
        assertEquals("block size 512, as the info blocks have it", damage.expected());
        requireRepaired(pool, sound);
    }

    @Test
    void aBlockSizeThatNothingElseTellsIsNotGuessed() throws IOException {
        Path pool = golden("blank-512.pool.gz");
        putWord(pool, 4096, 0);

        assertEquals("descriptor", onlyDamage(pool).place());
        requireNotRepaired(pool);
    }

    // Info blocks.

    @ParameterizedTest
    @ValueSource(longs = {0, 20, 40, 52, 60, 72, 96, 500, 4090})
    void aDamagedPrimaryInfoBlockIsRestoredFromItsBackup(long offset) throws Exception {
        Path pool = golden("mix-512.pool.gz");
        byte[] sound = Files.readAllBytes(pool);
        flip(pool, ARENA + offset);

        Damage damage = onlyDamage(pool);

        assertEquals("primary info block", damage.place());
        assertEquals(ARENA, damage.offset());
        assertEquals(0, damage.arena());
        requireRepaired(pool, sound);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 20, 40, 52, 60, 72, 96, 500, 4090})
    void aDamagedBackupInfoBlockIsRestoredFromThePrimary(long offset) throws Exception {
        Path pool = golden("mix-512.pool.gz");
        byte[] sound = Files.readAllBytes(pool);
        flip(pool, BACKUP + offset);

        Damage damage = onlyDamage(pool);

        assertEquals("backup info block", damage.place());
        assertEquals(BACKUP, damage.offset());
        requireRepaired(pool, sound);
    }

    @Test
    void twoDamagedInfoBlocksAreReportedAndNotGuessed() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        flip(pool, ARENA + 60);
        flip(pool, BACKUP + 60);

        assertEquals("both damaged", onlyDamage(pool).found());
        assertEquals(List.of("what lies behind arena 0 was not checked"), check(pool).notes());
        requireNotRepaired(pool);
    }

    @Test
    void aFileThatGrewHasNoBackupAtItsEndAndGetsNone() throws Exception {
        Path pool = golden("mix-512.pool.gz");
        put(pool, Files.size(pool) + 4095, (byte) 0);
        assertNotNull(LibPmemblk.pmempoolComplaint(pool));

        Damage damage = onlyDamage(pool);

        assertEquals("backup info block", damage.place());
        assertTrue(damage.found().contains("cut or lengthened"), damage.message());
        requireNotRepaired(pool);
    }

    // The map.

    @Test
    void aMapEntryOutOfRangeIsNamedWithItsBlockAndTheBlockNobodyOwns() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        putWord(pool, MAP + 4 * 700, 0xC000_0000 | INTERNAL_NLBA);

        List<Damage> damage = check(pool).damage();

        assertEquals(2, damage.size(), damage.toString());
        Damage entry = damage.getFirst();
        assertEquals("map entry", entry.place());
        assertEquals(700, entry.block());
        assertEquals(MAP + 4 * 700, entry.offset());
        assertEquals("a stored block below 32458", entry.expected());
        assertEquals("32458", entry.found());
        assertEquals("stored block 700", damage.get(1).place());
        assertEquals(ARENA + 4096 + 700 * 512, damage.get(1).offset());
        requireNotRepaired(pool);
    }

    @Test
    void bothOwnersOfABlockAreNamed() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        putWord(pool, MAP + 4 * 700, 0xC000_0000 | 705);

        List<Damage> damage = check(pool).damage();

        assertEquals(
                List.of("map entry", "map entry", "stored block 700"),
                damage.stream().map(Damage::place).toList());
        assertEquals(700, damage.get(0).block());
        assertEquals(705, damage.get(1).block());
        assertEquals("stored block 705, which has another owner, too", damage.getFirst().found());
        requireNotRepaired(pool);
    }

    @Test
    void aBlockThatALaneAndAMapEntryOwnIsNamedWithBoth() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        int free = freeBlockOfUnusedLane(pool, 200);
        putWord(pool, MAP + 4 * 700, 0xC000_0000 | free);

        List<Damage> damage = check(pool).damage();

        assertEquals(
                List.of("flog pair", "map entry", "stored block 700"),
                damage.stream().map(Damage::place).toList());
        assertEquals(200, damage.getFirst().lane());
        assertEquals(FLOG + 64 * 200, damage.getFirst().offset());
        requireNotRepaired(pool);
    }

    private static int freeBlockOfUnusedLane(Path pool, int lane) throws IOException {
        try (FileChannel file = FileChannel.open(pool)) {
            ByteBuffer word = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN);
            file.read(word, FLOG + 64L * lane + 4);
            return word.getInt(0) & 0x3fff_ffff;
        }
    }

    @Test
    void thousandsOfFlawsAreCountedAndTheFirstHundredListed() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        byte[] garbage = new byte[4 * 5000];
        Arrays.fill(garbage, (byte) 0xff);
        put(pool, MAP + 4 * 1000, garbage);

        PoolCheck result = check(pool);

        assertEquals(100, result.damage().size());
        // The blocks of those entries, most of which owned the block of their own number.
        assertEquals(2 * 5000 - 100, result.unlistedDamageCount());
        assertEquals(1000, result.damage().getFirst().block());
        assertEquals(1099, result.damage().getLast().block());
    }

    // The flog.

    @ParameterizedTest
    @CsvSource({
        "0, 32202, a block of the arena below 32202 in slot 0, 32202",
        "0, -1, a block of the arena below 32202 in slot 0, 4294967295",
        "16, 32202, a block of the arena below 32202 in slot 1, 32202",
        "12, 0, sequence numbers of which one follows the other, 0 and 0",
    })
    void aFlogPairThatMakesNoSenseIsNamedByItsLane(
            long offset, int word, String expected, String found) throws IOException {
        Path pool = golden("mix-512.pool.gz");
        putWord(pool, FLOG + 64 * 200 + offset, word);

        Damage damage = check(pool).damage().getFirst();

        assertEquals("flog pair", damage.place());
        assertEquals(200, damage.lane());
        assertEquals(FLOG + 64 * 200, damage.offset());
        assertEquals(expected, damage.expected());
        assertEquals(found, damage.found());
        requireNotRepaired(pool);
    }

    @Test
    void aFlogPairOfGarbageLeavesItsBlockWithoutOwner() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        int free = freeBlockOfUnusedLane(pool, 200);
        byte[] garbage = new byte[64];
        Arrays.fill(garbage, (byte) 0xff);
        put(pool, FLOG + 64 * 200, garbage);

        List<Damage> damage = check(pool).damage();

        assertEquals(
                List.of("flog pair", "flog pair", "flog pair", "stored block " + free),
                damage.stream().map(Damage::place).toList());
        requireNotRepaired(pool);
    }

    @Test
    void interruptedWritesAreNoDamageAndAreFinished() throws Exception {
        Golden.Pool golden = Golden.named("interrupted-4096.pool.gz");
        Path pool = Golden.unpack(golden, folder);
        assertEquals(
                List.of(
                        "7 writes were interrupted by a crash; whoever opens the pool finishes them"),
                check(pool).notes());

        PoolCheck repaired = repair(pool);

        assertEquals(List.of("7 interrupted writes were finished"), repaired.notes());
        assertTrue(repaired.isConsistent());
        assertEquals(List.of(), check(pool).notes());
        assertNull(LibPmemblk.pmempoolComplaint(pool));
        try (LibPmemblk real = LibPmemblk.open(pool, 4096)) {
            for (Golden.Block block : golden.blocks()) {
                assertArrayEquals(block.content(4096), real.read(block.lba()));
            }
        }
    }

    @Test
    void writesThatAKilledServerHeldAreNotedAndTakenOverByARepair() throws Exception {
        Path pool = folder.resolve("disk.pool");
        BlockPool.create(pool, 4096, 20 << 20, 0600).close();
        KilledWriter.run(pool, 20, heldWrites);
        flip(pool, ARENA);
        byte[] killed = Files.readAllBytes(pool);
        PoolOptions options = PoolOptions.DEFAULT.withHeldWritesDirectory(heldWrites);

        PoolCheck checked = PoolCheck.run(pool, options, Progress.NONE);

        assertEquals(1, checked.damage().size(), checked.toString());
        assertTrue(
                checked.notes().getFirst().startsWith("20 writes that a killed server replied to"));
        assertArrayEquals(killed, Files.readAllBytes(pool));

        PoolCheck repaired = PoolCheck.repair(pool, options, Progress.NONE);

        assertTrue(repaired.isConsistent(), repaired.toString());
        assertEquals(
                List.of("20 writes that a killed server replied to were taken over"),
                repaired.notes());
        assertNull(LibPmemblk.pmempoolComplaint(pool));
        try (LibPmemblk real = LibPmemblk.open(pool, 4096)) {
            for (long block = 0; block < 20; block++) {
                assertArrayEquals(KilledWriter.content(4096), real.read(block));
            }
        }
    }

    @Test
    void heldWritesStayWhereTheyAreWhileOtherDamageIsLeft() throws Exception {
        Path pool = folder.resolve("disk.pool");
        BlockPool.create(pool, 4096, 20 << 20, 0600).close();
        KilledWriter.run(pool, 5, heldWrites);
        flip(pool, 120);
        PoolOptions options = PoolOptions.DEFAULT.withHeldWritesDirectory(heldWrites);

        assertFalse(PoolCheck.repair(pool, options, Progress.NONE).isConsistent());

        flip(pool, 120);
        assertTrue(PoolCheck.repair(pool, options, Progress.NONE).isConsistent());
        try (LibPmemblk real = LibPmemblk.open(pool, 4096)) {
            assertArrayEquals(KilledWriter.content(4096), real.read(4));
        }
    }

    @Test
    void aPoolThatAnotherProgramChangedSinceTheKillIsDamaged() throws Exception {
        Path pool = folder.resolve("disk.pool");
        BlockPool.create(pool, 4096, 20 << 20, 0600).close();
        KilledWriter.run(pool, 5, heldWrites);
        try (LibPmemblk real = LibPmemblk.open(pool, 4096)) {
            real.write(9, new byte[4096]);
        }
        PoolOptions options = PoolOptions.DEFAULT.withHeldWritesDirectory(heldWrites);

        PoolCheck result = PoolCheck.run(pool, options, Progress.NONE);

        assertEquals(1, result.damage().size(), result.toString());
        assertTrue(result.damage().getFirst().message().contains("was changed by another program"));
    }

    @Test
    void theErrorFlagOfAnArenaIsNoted() throws IOException {
        Path pool = golden("arena-error-512.pool.gz");

        PoolCheck result = check(pool);

        assertTrue(result.isConsistent());
        assertEquals(
                List.of("arena 0 takes no changes, only reads: its error flag is set"),
                result.notes());
    }

    @Test
    void aPoolThatOnlyOthersMayChangeIsNotRepaired() throws IOException {
        Path pool = golden("rocompat-512.pool.gz");
        flip(pool, BACKUP);
        byte[] damaged = Files.readAllBytes(pool);

        assertThrows(ReadOnlyPoolException.class, () -> repair(pool));
        assertArrayEquals(damaged, Files.readAllBytes(pool));
    }

    // Several arenas, and how long it takes.

    @Test
    void damageInALaterArenaIsNamedByArenaBlockAndOffset() throws Exception {
        Path pool = folder.resolve("large.pool");
        try (RandomAccessFile file = new RandomAccessFile(pool.toFile(), "rw")) {
            file.setLength(TWO_ARENAS);
        }
        BlockPool.create(pool, 65536, 0, 0600).close();
        long second = ARENA + (1L << 39);
        flip(pool, second + 67_104_768 + 7);
        flip(pool, ARENA + 7);
        putWord(pool, second + 67_084_288 + 4 * 3, 0xC000_0000 | 5000);

        PoolCheck result = repair(pool);

        assertEquals(
                List.of("primary info block", "backup info block"),
                result.repaired().stream().map(Damage::place).toList());
        assertEquals(List.of(0, 1), result.repaired().stream().map(Damage::arena).toList());
        Damage entry = result.damage().getFirst();
        assertEquals(1, entry.arena());
        assertEquals(8_387_839 + 3, entry.block());
        assertEquals(second + 67_084_288 + 4 * 3, entry.offset());
        putWord(pool, second + 67_084_288 + 4 * 3, 0);
        assertTrue(check(pool).isConsistent());
        assertNull(LibPmemblk.pmempoolComplaint(pool));
    }

    @Test
    void progressEndsWithAllOfTheMap() throws IOException {
        Path pool = golden("mix-512.pool.gz");
        AtomicLong done = new AtomicLong();

        PoolCheck.run(
                pool,
                PoolOptions.DEFAULT,
                (byteCount, total) -> {
                    assertEquals(4 * 32_202, total);
                    done.addAndGet(byteCount);
                });

        assertEquals(4 * 32_202, done.get());
    }

    // Files that somebody made to do harm.

    @Test
    void noByteOfGarbageIsMoreThanDamage() throws IOException {
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        Path pool = golden("mix-512.pool.gz");
        byte[] sound = Files.readAllBytes(pool);
        long[] places = {0, 4096, ARENA, BACKUP, MAP, FLOG};
        for (int round = 0; round < 300; round++) {
            int[] damaged = new int[1 + random.nextInt(8)];
            for (int i = 0; i < damaged.length; i++) {
                damaged[i] = (int) places[random.nextInt(places.length)] + random.nextInt(4096);
                put(pool, damaged[i], (byte) random.nextInt());
            }
            PoolCheck result =
                    assertTimeoutPreemptively(
                            Duration.ofSeconds(20), () -> check(pool), "seed " + seed);
            assertNotNull(result);
            for (int offset : damaged) {
                put(pool, offset, sound[offset]);
            }
        }
        assertTrue(check(pool).isConsistent());
    }

    @Test
    void aPipeIsRefusedAndNotWaitedFor() throws Exception {
        Path pipe = folder.resolve("pipe");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
        Path set = Files.writeString(folder.resolve("pool.set"), "PMEMPOOLSET\n20M " + pipe + "\n");

        for (Path path : List.of(pipe, set, Path.of("/dev/zero"))) {
            assertTimeoutPreemptively(
                    Duration.ofSeconds(20),
                    () -> assertThrows(PoolFileException.class, () -> check(path)));
        }
    }
}
