package pmemblk.pool.btt;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import pmemblk.pool.media.Medium;

/**
 * A file as a crash leaves it: sectors of 512 bytes, of which each that was written since the last
 * sync may be found in any version that it had since, independently of all others.
 *
 * <p>Sectors are immutable arrays, and those never written are not there, so that copying a medium
 * costs little whatever its size. Used by one thread.
 */
class CrashMedium implements Medium {
    static final int SECTOR = 512;

    private static final byte[] ZEROES = new byte[SECTOR];

    private final long size;
    private final Map<Integer, byte[]> seen;

    /** The versions of each sector since the last sync, the durable one first. */
    private final Map<Integer, List<byte[]>> dirty = new HashMap<>();

    private Listener listener = sector -> {};

    /** Told what happens to a medium. */
    interface Listener {
        /** A sector was stored. */
        void stored(int sector);

        /** A sync is under way: called before it has effect, and again after. */
        default void syncing() {}
    }

    CrashMedium(long size) {
        this(size, new HashMap<>());
    }

    private CrashMedium(long size, Map<Integer, byte[]> sectors) {
        this.size = size;
        this.seen = sectors;
    }

    void listen(Listener newListener) {
        listener = newListener;
    }

    boolean isDirty(long from, long to) {
        return dirty.keySet().stream()
                .anyMatch(sector -> sector >= from / SECTOR && sector < to / SECTOR);
    }

    /** What a process sees that starts after another one was killed; nothing of it is dirty. */
    CrashMedium afterKill() {
        return new CrashMedium(size, new HashMap<>(seen));
    }

    /** How many images a power cut could leave in which this sector has its newest version. */
    long imageCount(int newestSector) {
        long count = 1;
        for (Map.Entry<Integer, List<byte[]>> entry : dirty.entrySet()) {
            count *= entry.getKey() == newestSector ? 1 : entry.getValue().size();
        }
        return count;
    }

    /** One of {@link #imageCount} images, by its number. */
    CrashMedium image(int newestSector, long number) {
        Map<Integer, byte[]> sectors = new HashMap<>(seen);
        long rest = number;
        for (Map.Entry<Integer, List<byte[]>> entry : dirty.entrySet()) {
            List<byte[]> versions = entry.getValue();
            if (entry.getKey() != newestSector) {
                sectors.put(entry.getKey(), versions.get((int) (rest % versions.size())));
                rest /= versions.size();
            }
        }
        return new CrashMedium(size, sectors);
    }

    /** Any image that a power cut could leave now. */
    CrashMedium anyImage(RandomGenerator random) {
        Map<Integer, byte[]> sectors = new HashMap<>(seen);
        dirty.forEach(
                (sector, versions) ->
                        sectors.put(sector, versions.get(random.nextInt(versions.size()))));
        return new CrashMedium(size, sectors);
    }

    @Override
    public Kind kind() {
        return Kind.FILE;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public void read(long offset, MemorySegment target) {
        for (long done = 0; done < target.byteSize(); ) {
            int inSector = (int) ((offset + done) % SECTOR);
            long count = Math.min(SECTOR - inSector, target.byteSize() - done);
            byte[] sector = seen.getOrDefault((int) ((offset + done) / SECTOR), ZEROES);
            MemorySegment.copy(sector, inSector, target, ValueLayout.JAVA_BYTE, done, (int) count);
            done += count;
        }
    }

    @Override
    public void write(long offset, MemorySegment source) {
        for (long done = 0; done < source.byteSize(); ) {
            int number = (int) ((offset + done) / SECTOR);
            int inSector = (int) ((offset + done) % SECTOR);
            int count = (int) Math.min(SECTOR - inSector, source.byteSize() - done);
            byte[] old = seen.getOrDefault(number, ZEROES);
            byte[] version = old.clone();
            MemorySegment.copy(source, ValueLayout.JAVA_BYTE, done, version, inSector, count);
            dirty.computeIfAbsent(number, key -> new ArrayList<>(List.of(old))).add(version);
            seen.put(number, version);
            listener.stored(number);
            done += count;
        }
    }

    @Override
    public int load(long offset) {
        byte[] sector = seen.getOrDefault((int) (offset / SECTOR), ZEROES);
        return words(sector).getInt((int) (offset % SECTOR));
    }

    @Override
    public void store(long offset, int word) {
        byte[] bytes = new byte[Integer.BYTES];
        words(bytes).putInt(word);
        write(offset, MemorySegment.ofArray(bytes));
    }

    @Override
    public void storeLong(long offset, long word) {
        byte[] bytes = new byte[Long.BYTES];
        words(bytes).putLong(word);
        write(offset, MemorySegment.ofArray(bytes));
    }

    @Override
    public void persist(long offset, long length) {
        listener.syncing();
        sync();
        listener.syncing();
    }

    /** Makes all that is seen durable. */
    void sync() {
        dirty.clear();
    }

    /** Makes durable what lies outside a range, as a sync does that forgets it. */
    final void syncAllBut(long from, long to) {
        dirty.keySet().removeIf(sector -> sector < from / SECTOR || sector >= to / SECTOR);
    }

    @Override
    public void close() {}

    private static ByteBuffer words(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
