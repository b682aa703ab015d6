package pmemblk.it;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.opentest4j.AssertionFailedError;
import pmemblk.pool.BlockErrorException;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Damage;
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
    private static final int RANDOM_CUTS = 20;

    private final Path folder;
    private final String mkfs;
    private final PowerCutLoad.Kind kind;
    private final SplittableRandom random;
    private final RecordedDisk disk = new RecordedDisk(DISK_SIZE);
    private final PowerCutOracle oracle;

    private PowerCut(Path folder, String mkfs, PowerCutLoad.Kind kind, long seed) {
        this.folder = folder;
        this.mkfs = mkfs;
        this.kind = kind;
        this.random = new SplittableRandom(seed);
        this.oracle = new PowerCutOracle(kind.blockCount());
    }

    /** Arguments: a folder on tmpfs, the command that makes the filesystem, the load, seed. */
    public static void main(String[] arguments) {
        OwnMounts.exitAfter(
                () -> {
                    PowerCut powerCut =
                            new PowerCut(
                                    Path.of(arguments[0]),
                                    arguments[1],
                                    PowerCutLoad.Kind.valueOf(arguments[2]),
                                    Long.parseLong(arguments[3]));
                    // The pool of the record stays open: power that is cut closes nothing.
                    powerCut.record();
                    powerCut.replay();
                });
    }

    private void record() throws IOException, InterruptedException {
        LoopFilesystem filesystem = LoopFilesystem.make(folder, disk, mkfs);
        Path path = filesystem.root().resolve("disk.pool");
        BlockPool.create(path, PowerCutOracle.BLOCK_SIZE, POOL_SIZE, 0600).close();
        Path held = Files.createDirectory(folder.resolve("held"));
        BlockPool pool =
                BlockPool.open(
                        path,
                        PoolOptions.DEFAULT
                                .withDurability(kind.durability)
                                .withHeldWritesDirectory(held)
                                .withWriteCacheSize(kind.writeCacheSize()));
        requireCache(held);
        age(pool);
        Command.of("sync -f", path).succeed();
        disk.begin();
        new PowerCutLoad(kind, pool, disk, oracle).run(random.split());
        filesystem.pullDisk();
    }

    /**
     * Leaves blocks that read as zeroes and lie where something else was, which must not return.
     */
    private void age(BlockPool pool) throws IOException {
        int blockCount = kind.blockCount();
        ByteBuffer bytes = ByteBuffer.allocateDirect(blockCount * PowerCutOracle.BLOCK_SIZE);
        for (int block = 0; block < blockCount; block++) {
            bytes.put(PowerCutOracle.whole(block, Integer.MAX_VALUE));
        }
        pool.writeBytes(0, bytes.flip());
        pool.flush();
        pool.zeroBytes(0, bytes.capacity());
        pool.flush();
    }

    private void requireCache(Path held) throws IOException {
        try (Stream<Path> files = Files.list(held)) {
            boolean caches = files.anyMatch(file -> file.toString().endsWith("-cache"));
            if (caches != kind.writeCacheSize() > 0) {
                throw new AssertionFailedError(kind + ": a write cache is used: " + caches);
            }
        }
    }

    private void replay() throws IOException, InterruptedException {
        List<Integer> flushes = disk.flushes();
        if (flushes.isEmpty()) {
            throw new AssertionFailedError("the disk was never flushed, this shows nothing");
        }
        TreeSet<Integer> cuts = new TreeSet<>(flushes);
        for (int i = 0; i < RANDOM_CUTS; i++) {
            cuts.add(random.nextInt(disk.position() + 1));
            // Just before a flush, most of what has to wait for each other is under way.
            cuts.add(flushes.get(random.nextInt(flushes.size())) - 1);
        }
        Path held = Files.createDirectory(folder.resolve("held-after"));
        Path image = folder.resolve("image");
        Path mount = Files.createDirectory(folder.resolve("after"));
        for (int cut : cuts) {
            byte[] bytes = disk.afterPowerCut(cut, random);
            for (Reader reader :
                    List.<Reader>of(
                            new OurReader(kind.blockCount(), held),
                            new TheirReader(kind.blockCount()))) {
                Files.write(image, bytes);
                Command.of("mount -o loop", image, mount).succeed();
                verify(mount.resolve("disk.pool"), cut, reader);
                Command.of("umount", mount).succeed();
            }
        }
        System.out.printf(
                "%s, %s: %d events, %d flushes, %d power cuts%n",
                mkfs, kind, disk.position(), flushes.size(), cuts.size());
    }

    /** Opens a pool, which recovers it, and reads all blocks. */
    private interface Reader {
        byte[][] read(Path pool) throws IOException;
    }

    private void verify(Path pool, int cut, Reader reader)
            throws IOException, InterruptedException {
        byte[][] blocks = reader.read(pool);
        for (int block = 0; block < blocks.length; block++) {
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

    private record OurReader(int blockCount, Path heldWrites) implements Reader {
        @Override
        public byte[][] read(Path path) throws IOException {
            byte[][] blocks = new byte[blockCount][];
            PoolOptions options = PoolOptions.DEFAULT.withHeldWritesDirectory(heldWrites);
            try (BlockPool pool = BlockPool.open(path, options)) {
                for (int block = 0; block < blockCount; block++) {
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

    private record TheirReader(int blockCount) implements Reader {
        @Override
        public byte[][] read(Path path) throws IOException {
            byte[][] blocks = new byte[blockCount][];
            try (LibPmemblk pool = LibPmemblk.open(path, PowerCutOracle.BLOCK_SIZE)) {
                for (int block = 0; block < blockCount; block++) {
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
