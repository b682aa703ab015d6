package pmemblk.pool.btt;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import pmemblk.pool.media.Medium;

/**
 * A medium as a crash leaves it: units of some size, of which each that was written since it was
 * last made durable may be found in any version that it had since, independently of all others.
 *
 * <p>Of a file the units are sectors of 512 bytes, and all become durable together; of persistent
 * memory they are words of 8 bytes, and become durable by ranges. Some may be smaller, where that
 * shows what happens to bytes that need not lie in one unit. Units are immutable arrays, and those
 * never written are not there, so that copying a medium costs little whatever its size. Used by one
 * thread.
 */
class CrashMedium implements Medium {
    /** The numbers of smaller units begin here, one for every {@link #GRAIN} bytes. */
    private static final int SMALL = 1 << 30;

    private static final int GRAIN = Integer.BYTES;
    private static final byte[] ZEROES = new byte[unitOf(Kind.FILE)];

    private final Kind kind;
    private final int unit;
    private final long size;
    private final Units units;
    private final Map<Integer, byte[]> seen;

    /** The versions of each unit since the last sync, the durable one first. */
    private final Map<Integer, List<byte[]>> dirty = new HashMap<>();

    /** What the device has of units that a failed sync left clean in memory, and other there. */
    private final Map<Integer, byte[]> lost = new HashMap<>();

    private Listener listener = number -> {};

    /** Told what happens to a medium. */
    interface Listener {
        /** A unit was stored. */
        void stored(int number);

        /** A sync is under way: called before it has effect, and again after. */
        default void syncing() {}
    }

    /** Which bytes stay together whatever happens. */
    interface Units {
        /**
         * The size of the unit that an offset lies in, at a multiple of that: what {@link #unitOf}
         * says, or a smaller multiple of 4.
         */
        int sizeAt(long offset);
    }

    CrashMedium(Kind kind, long size) {
        this(kind, size, offset -> unitOf(kind));
    }

    CrashMedium(Kind kind, long size, Units units) {
        this(kind, size, units, new HashMap<>());
    }

    private CrashMedium(Kind kind, long size, Units units, Map<Integer, byte[]> seen) {
        this.kind = kind;
        this.unit = unitOf(kind);
        this.size = size;
        this.units = units;
        this.seen = seen;
    }

    /** The bytes that stay together whatever happens, where no others are named. */
    static int unitOf(Kind kind) {
        return kind == Kind.FILE ? 512 : 8;
    }

    void listen(Listener newListener) {
        listener = newListener;
    }

    boolean isDirty(long from, long to) {
        return dirty.keySet().stream().anyMatch(number -> isInside(number, from, to));
    }

    /** The same, with all that is dirty, for a process to go on with that does not matter here. */
    CrashMedium copy() {
        CrashMedium medium = afterKill();
        dirty.forEach((number, versions) -> medium.dirty.put(number, new ArrayList<>(versions)));
        return medium;
    }

    /** What a process sees that starts after another one was killed; nothing of it is dirty. */
    CrashMedium afterKill() {
        CrashMedium medium = new CrashMedium(kind, size, units, new HashMap<>(seen));
        medium.lost.putAll(lost);
        return medium;
    }

    /**
     * A sync fails, as Linux has it: of each unit that was dirty the device may have any version,
     * memory has the newest, and takes it for written.
     */
    void failSync(RandomGenerator random) {
        dirty.forEach(
                (number, versions) -> {
                    byte[] version = versions.get(random.nextInt(versions.size()));
                    if (Arrays.equals(version, seen.get(number))) {
                        lost.remove(number);
                    } else {
                        lost.put(number, version);
                    }
                });
        dirty.clear();
    }

    /** Memory is short: what it takes for written it drops, to read it from the device again. */
    void evict() {
        refresh(0, size);
    }

    @Override
    public void refresh(long offset, long length) {
        lost.entrySet()
                .removeIf(
                        entry -> {
                            boolean inside = isInside(entry.getKey(), offset, offset + length);
                            if (inside) {
                                seen.put(entry.getKey(), entry.getValue());
                            }
                            return inside;
                        });
    }

    /** How many images a power cut could leave in which this unit has its newest version. */
    long imageCount(int newestUnit) {
        long count = 1;
        for (Map.Entry<Integer, List<byte[]>> entry : dirty.entrySet()) {
            count *= entry.getKey() == newestUnit ? 1 : entry.getValue().size();
        }
        return count;
    }

    /** One of {@link #imageCount} images, by its number. */
    CrashMedium image(int newestUnit, long number) {
        Map<Integer, byte[]> found = new HashMap<>(seen);
        found.putAll(lost);
        long rest = number;
        for (Map.Entry<Integer, List<byte[]>> entry : dirty.entrySet()) {
            List<byte[]> versions = entry.getValue();
            if (entry.getKey() != newestUnit) {
                found.put(entry.getKey(), versions.get((int) (rest % versions.size())));
                rest /= versions.size();
            }
        }
        return new CrashMedium(kind, size, units, found);
    }

    /** Any image that a power cut could leave now. */
    CrashMedium anyImage(RandomGenerator random) {
        Map<Integer, byte[]> found = new HashMap<>(seen);
        found.putAll(lost);
        dirty.forEach(
                (number, versions) ->
                        found.put(number, versions.get(random.nextInt(versions.size()))));
        return new CrashMedium(kind, size, units, found);
    }

    @Override
    public Kind kind() {
        return kind;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public void read(long offset, MemorySegment target) throws IOException {
        for (long done = 0; done < target.byteSize(); ) {
            int unitSize = units.sizeAt(offset + done);
            int inUnit = (int) ((offset + done) % unitSize);
            long count = Math.min(unitSize - inUnit, target.byteSize() - done);
            byte[] bytes = seen.getOrDefault(numberAt(offset + done), ZEROES);
            MemorySegment.copy(bytes, inUnit, target, ValueLayout.JAVA_BYTE, done, (int) count);
            done += count;
        }
    }

    @Override
    public void write(long offset, MemorySegment source) throws IOException {
        for (long done = 0; done < source.byteSize(); ) {
            int unitSize = units.sizeAt(offset + done);
            int number = numberAt(offset + done);
            int inUnit = (int) ((offset + done) % unitSize);
            int count = (int) Math.min(unitSize - inUnit, source.byteSize() - done);
            byte[] present = seen.get(number);
            byte[] old = present == null ? new byte[unitSize] : present;
            byte[] version = old.clone();
            MemorySegment.copy(source, ValueLayout.JAVA_BYTE, done, version, inUnit, count);
            byte[] lostVersion = lost.remove(number);
            // A store of what is there already leaves nothing new for a crash to leave behind.
            if (lostVersion != null || !Arrays.equals(old, version)) {
                byte[] durable = lostVersion == null ? old : lostVersion;
                dirty.computeIfAbsent(number, key -> new ArrayList<>(List.of(durable)))
                        .add(version);
                seen.put(number, version);
                listener.stored(number);
            }
            done += count;
        }
    }

    @Override
    public int load(long offset) throws IOException {
        byte[] bytes = seen.getOrDefault(numberAt(offset), ZEROES);
        return words(bytes).getInt((int) (offset % units.sizeAt(offset)));
    }

    @Override
    public void store(long offset, int word) throws IOException {
        byte[] bytes = new byte[Integer.BYTES];
        words(bytes).putInt(word);
        write(offset, MemorySegment.ofArray(bytes));
    }

    @Override
    public void storeLong(long offset, long word) throws IOException {
        byte[] bytes = new byte[Long.BYTES];
        words(bytes).putLong(word);
        write(offset, MemorySegment.ofArray(bytes));
    }

    @Override
    public void persist(long offset, long length) throws IOException {
        listener.syncing();
        if (kind == Kind.FILE) {
            sync();
        } else {
            dirty.keySet().removeIf(number -> isInside(number, offset, offset + length));
        }
        listener.syncing();
    }

    /** Makes all that is seen durable. */
    void sync() {
        dirty.clear();
    }

    /** Makes durable what lies outside a range, as a sync does that forgets it. */
    final void syncAllBut(long from, long to) {
        dirty.keySet().removeIf(number -> !isInside(number, from, to));
    }

    private int numberAt(long offset) {
        int unitSize = units.sizeAt(offset);
        return unitSize == unit
                ? (int) (offset / unit)
                : SMALL + (int) ((offset - offset % unitSize) / GRAIN);
    }

    /** Whether some bytes of a unit lie in a range. */
    private boolean isInside(int number, long from, long to) {
        long start = number < SMALL ? (long) number * unit : (number - SMALL) * (long) GRAIN;
        return start + units.sizeAt(start) > from && start < to;
    }

    @Override
    public void requireWhole() {}

    @Override
    public void close() {}

    private static ByteBuffer words(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
