package pmemblk.pool;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import pmemblk.pool.btt.Fletcher64;

/**
 * Opens, checks and uses a hostile pool. Only an {@link IOException} may come of it.
 *
 * <p>An input is changes to a sound pool: a byte that says which checksums are put right
 * afterwards, then for each change the region, the offset in it and the number of bytes, and these.
 */
public final class PoolFuzz {
    private static final int PAGE = 4096;
    private static final int BLOCK_SIZE = 4096;
    private static final long SIZE = BlockPool.MIN_POOL_SIZE;

    private static final int HEADER = 0;
    private static final int INFO = 8192;
    private static final int INFO_MAP_OFFSET = 96;
    private static final int INFO_FLOG_OFFSET = 104;
    private static final int INFO_BACKUP_OFFSET = 112;
    private static final int CHECKSUM = 4088;
    private static final int HEADER_SHORT_SUM = 2048;

    /** The region of the backup. */
    private static final int BACKUP = 5;

    private static final int SEAL_HEADER = 1;
    private static final int SEAL_INFO = 2;
    private static final int SEAL_BACKUP = 4;
    private static final int CUT = 8;

    private static final Path FILE = file();
    private static final Map<Long, byte[]> SOUND_PAGES = soundPages();
    private static final long[] REGIONS = regions();

    private PoolFuzz() {}

    /** The entry that Jazzer looks for. */
    public static void fuzzerTestOneInput(byte[] input) {
        try {
            lay(ByteBuffer.wrap(input).order(ByteOrder.LITTLE_ENDIAN));
        } catch (IOException e) {
            throw new UncheckedIOException("no place for the pool", e);
        }
        try {
            BlockPool.check(FILE, 0);
        } catch (IOException refused) {
            // It says so in words.
        }
        try (BlockPool pool = BlockPool.open(FILE, PoolOptions.DEFAULT)) {
            use(pool);
        } catch (IOException refused) {
            // It says so in words.
        }
    }

    private static void lay(ByteBuffer input) throws IOException {
        Map<Long, byte[]> pages = new TreeMap<>();
        SOUND_PAGES.forEach((offset, page) -> pages.put(offset, page.clone()));
        int flags = input.hasRemaining() ? input.get() : 0;
        while (input.remaining() > 4) {
            long region = REGIONS[(input.get() & 0xff) % REGIONS.length];
            long start = region + (input.getShort() & 0xffff);
            int count = Math.min((input.get() & 0x1f) + 1, input.remaining());
            for (long at = start; at < start + count; at++) {
                byte value = input.get();
                if (at < SIZE) {
                    byte[] page = pages.computeIfAbsent(at / PAGE * PAGE, _ -> new byte[PAGE]);
                    page[(int) (at % PAGE)] = value;
                }
            }
        }
        if ((flags & SEAL_HEADER) != 0) {
            seal(pages, HEADER, HEADER_SHORT_SUM);
        }
        if ((flags & SEAL_INFO) != 0) {
            seal(pages, INFO, PAGE);
        }
        if ((flags & SEAL_BACKUP) != 0) {
            seal(pages, REGIONS[BACKUP], PAGE);
        }
        try (FileChannel file =
                FileChannel.open(
                        FILE,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.TRUNCATE_EXISTING)) {
            for (Map.Entry<Long, byte[]> page : pages.entrySet()) {
                file.write(ByteBuffer.wrap(page.getValue()), page.getKey());
            }
            long size = (flags & CUT) == 0 ? SIZE : SIZE + 1 - (flags & 0xf0L) * PAGE;
            file.truncate(size);
            if (file.size() < size) {
                file.write(ByteBuffer.allocate(1), size - 1);
            }
        }
    }

    private static void seal(Map<Long, byte[]> pages, long offset, int limit) {
        byte[] block = Objects.requireNonNull(pages.get(offset));
        MemorySegment aligned = MemorySegment.ofArray(new long[PAGE / Long.BYTES]);
        aligned.copyFrom(MemorySegment.ofArray(block));
        long sum = Fletcher64.sum(aligned, CHECKSUM, limit);
        ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN).putLong(CHECKSUM, sum);
    }

    private static void use(BlockPool pool) throws IOException {
        long count = Math.min(pool.blockCount(), 16);
        int size = Math.min(pool.blockSize(), 1 << 20);
        for (long block = 0; block < count; block++) {
            tolerating(
                    pool, block, (p, b) -> p.readBytes(b * p.blockSize(), ByteBuffer.allocate(1)));
            tolerating(
                    pool,
                    block,
                    (p, b) -> p.writeBytes(b * p.blockSize(), ByteBuffer.allocate(size)));
        }
        pool.extents(0, pool.byteSize(), (state, bytes) -> true);
        pool.setZero(0);
        pool.setError(pool.blockCount() - 1);
        pool.flush();
    }

    private interface Access {
        void run(BlockPool pool, long block) throws IOException;
    }

    private static void tolerating(BlockPool pool, long block, Access access) {
        try {
            access.run(pool, block);
        } catch (IOException refused) {
            // One block's misfortune is not the next one's.
        }
    }

    private static Path file() {
        try {
            Path file = Files.createTempFile(Path.of("/dev/shm"), "pmemblk-fuzz", ".pool");
            file.toFile().deleteOnExit();
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Map<Long, byte[]> soundPages() {
        try {
            Files.delete(FILE);
            try (BlockPool pool = BlockPool.create(FILE, BLOCK_SIZE, SIZE, 0600)) {
                for (int block = 0; block < 8; block++) {
                    pool.write(block, ByteBuffer.wrap(new byte[] {(byte) block, 1, 2, 3}));
                }
                pool.setZero(2);
                pool.setError(3);
            }
            byte[] bytes = Files.readAllBytes(FILE);
            Map<Long, byte[]> pages = new TreeMap<>();
            for (int at = 0; at < bytes.length; at += PAGE) {
                byte[] page = new byte[PAGE];
                System.arraycopy(bytes, at, page, 0, PAGE);
                if (!isZero(page)) {
                    pages.put((long) at, page);
                }
            }
            return pages;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isZero(byte[] page) {
        return MemorySegment.ofArray(page).mismatch(MemorySegment.ofArray(new byte[PAGE])) < 0;
    }

    /** Where header, descriptor, info block, map, flog and backup begin, in bytes. */
    private static long[] regions() {
        MemorySegment info =
                MemorySegment.ofArray(Objects.requireNonNull(SOUND_PAGES.get((long) INFO)));
        return new long[] {
            HEADER,
            PoolDescriptor.OFFSET,
            INFO,
            INFO + info.get(ValueLayout.JAVA_LONG_UNALIGNED, INFO_MAP_OFFSET),
            INFO + info.get(ValueLayout.JAVA_LONG_UNALIGNED, INFO_FLOG_OFFSET),
            INFO + info.get(ValueLayout.JAVA_LONG_UNALIGNED, INFO_BACKUP_OFFSET)
        };
    }
}
