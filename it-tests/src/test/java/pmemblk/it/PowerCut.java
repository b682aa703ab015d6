package pmemblk.it;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.opentest4j.AssertionFailedError;
import pmemblk.pool.BlockErrorException;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Damage;
import pmemblk.pool.Durability;
import pmemblk.pool.LibPmemblk;
import pmemblk.pool.PoolOptions;

/**
 * Loads a pool on a real filesystem on a recorded disk, then cuts the power at every flush that the
 * disk has seen and at random moments between: mounts what is left, and has it recovered by this
 * project and by libpmemblk. A program that {@link OwnMounts} runs.
 */
final class PowerCut {
    private static final int DISK_SIZE = 64 << 20;
    private static final long POOL_SIZE = 17 << 20;
    private static final int BLOCKS = 48;
    private static final int RANDOM_CUTS = 20;

    private final Path folder;
    private final String mkfs;
    private final Durability durability;
    private final SplittableRandom random;
    private final RecordedDisk disk = new RecordedDisk(DISK_SIZE);
    private final PowerCutOracle oracle = new PowerCutOracle(BLOCKS);
    private int lastStamp;

    private PowerCut(Path folder, String mkfs, Durability durability, long seed) {
        this.folder = folder;
        this.mkfs = mkfs;
        this.durability = durability;
        this.random = new SplittableRandom(seed);
    }

    /**
     * Arguments: a folder on tmpfs, the command that makes the filesystem, when changes are to be
     * durable, operations, seed.
     */
    public static void main(String[] arguments) {
        OwnMounts.exitAfter(
                () -> {
                    PowerCut powerCut =
                            new PowerCut(
                                    Path.of(arguments[0]),
                                    arguments[1],
                                    Durability.valueOf(arguments[2]),
                                    Long.parseLong(arguments[4]));
                    // The pool of the record stays open: power that is cut closes nothing.
                    powerCut.record(Integer.parseInt(arguments[3]));
                    powerCut.replay();
                });
    }

    private void record(int operations) throws IOException, InterruptedException {
        LoopFilesystem filesystem = LoopFilesystem.make(folder, disk, mkfs);
        load(filesystem.root().resolve("disk.pool"), operations);
        filesystem.pullDisk();
    }

    private void load(Path path, int operations) throws IOException, InterruptedException {
        BlockPool.create(path, PowerCutOracle.BLOCK_SIZE, POOL_SIZE, 0600).close();
        Path held = Files.createDirectory(folder.resolve("held"));
        BlockPool pool =
                BlockPool.open(
                        path,
                        PoolOptions.DEFAULT
                                .withDurability(durability)
                                .withHeldWritesDirectory(held));
        Command.of("sync -f", path).succeed();
        disk.begin();
        for (int i = 0; i < operations; i++) {
            operate(pool);
            if (durability == Durability.EVERY_WRITE) {
                oracle.flushed(disk.position());
            }
        }
    }

    private void operate(BlockPool pool) throws IOException {
        int block = random.nextInt(BLOCKS);
        long offset = (long) block * PowerCutOracle.BLOCK_SIZE;
        int stamp = ++lastStamp;
        switch (random.nextInt(20)) {
            case 0, 1 -> {
                oracle.changing(block, 0, disk.position());
                pool.setZero(block);
            }
            case 2 -> {
                oracle.changing(block, PowerCutOracle.ERROR, disk.position());
                pool.setError(block);
            }
            case 3, 4, 5 -> {
                if (oracle.latest(block) != PowerCutOracle.ERROR) {
                    long value = PowerCutOracle.edited(oracle.latest(block), stamp);
                    oracle.changing(block, value, disk.position());
                    ByteBuffer half = PowerCutOracle.half(block, stamp);
                    pool.writeBytes(offset + half.remaining(), half);
                }
            }
            case 6 -> {
                pool.flush();
                oracle.flushed(disk.position());
            }
            default -> {
                oracle.changing(block, PowerCutOracle.value(stamp), disk.position());
                pool.write(block, PowerCutOracle.whole(block, stamp));
            }
        }
    }

    private void replay() throws IOException, InterruptedException {
        TreeSet<Integer> cuts = new TreeSet<>(disk.flushes());
        int flushes = cuts.size();
        for (int i = 0; i < RANDOM_CUTS; i++) {
            cuts.add(random.nextInt(disk.position() + 1));
        }
        Path held = Files.createDirectory(folder.resolve("held-after"));
        Path image = folder.resolve("image");
        Path mount = Files.createDirectory(folder.resolve("after"));
        for (int cut : cuts) {
            byte[] bytes = disk.afterPowerCut(cut, random);
            for (Reader reader : List.<Reader>of(new OurReader(held), new TheirReader())) {
                Files.write(image, bytes);
                Command.of("mount -o loop", image, mount).succeed();
                verify(mount.resolve("disk.pool"), cut, reader);
                Command.of("umount", mount).succeed();
            }
        }
        System.out.printf(
                "%s, %s: %d events, %d flushes, %d power cuts%n",
                mkfs, durability, disk.position(), flushes, cuts.size());
    }

    /** Opens a pool, which recovers it, and reads all blocks. */
    private interface Reader {
        byte[][] read(Path pool) throws IOException;
    }

    private void verify(Path pool, int cut, Reader reader)
            throws IOException, InterruptedException {
        byte[][] blocks = reader.read(pool);
        for (int block = 0; block < BLOCKS; block++) {
            long value =
                    blocks[block].length == 0
                            ? PowerCutOracle.ERROR
                            : PowerCutOracle.read(block, blocks[block]);
            oracle.requirePossible(block, value, cut);
        }
        List<Damage> damage = BlockPool.check(pool, 0).damage();
        if (!damage.isEmpty()) {
            throw new AssertionFailedError("at position " + cut + " check says " + damage);
        }
        Pools.checkWithPmempool(pool);
    }

    private record OurReader(Path heldWrites) implements Reader {
        @Override
        public byte[][] read(Path path) throws IOException {
            byte[][] blocks = new byte[BLOCKS][];
            PoolOptions options = PoolOptions.DEFAULT.withHeldWritesDirectory(heldWrites);
            try (BlockPool pool = BlockPool.open(path, options)) {
                for (int block = 0; block < BLOCKS; block++) {
                    ByteBuffer target = ByteBuffer.allocate(PowerCutOracle.BLOCK_SIZE);
                    try {
                        pool.read(block, target);
                        blocks[block] = target.array();
                    } catch (BlockErrorException e) {
                        blocks[block] = new byte[0];
                    }
                }
            }
            return blocks;
        }
    }

    private record TheirReader() implements Reader {
        @Override
        public byte[][] read(Path path) throws IOException {
            byte[][] blocks = new byte[BLOCKS][];
            try (LibPmemblk pool = LibPmemblk.open(path, PowerCutOracle.BLOCK_SIZE)) {
                for (int block = 0; block < BLOCKS; block++) {
                    try {
                        blocks[block] = pool.read(block);
                    } catch (IOException e) {
                        blocks[block] = new byte[0];
                    }
                }
            }
            return blocks;
        }
    }
}
