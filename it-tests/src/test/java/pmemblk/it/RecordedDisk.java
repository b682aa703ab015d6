package pmemblk.it;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;

/**
 * A disk that remembers every write and every flush in their order, and so what it might hold had
 * its power failed at any moment: all that was flushed, and any of the sectors written since.
 */
final class RecordedDisk implements Export {
    private static final int SECTOR = 512;

    private final byte[] bytes;
    private final ExportInfo info;

    /** What happened, guarded by this object's monitor as the bytes are. */
    private final List<Event> events = new ArrayList<>();

    private byte[] base;

    /** A write; or a flush, which has no data. One with FUA is recorded as both. */
    private record Event(int offset, @Nullable ByteBuffer data) {}

    RecordedDisk(int size) {
        bytes = new byte[size];
        base = new byte[size];
        info = new ExportInfo(size, 4096, 4096, false, "recorded");
    }

    /** Begins the record: what there is now is durable. */
    synchronized void begin() {
        base = bytes.clone();
        events.clear();
    }

    /** How many events there were. */
    synchronized int position() {
        return events.size();
    }

    /** The positions just after each flush. */
    synchronized List<Integer> flushes() {
        List<Integer> positions = new ArrayList<>();
        for (int i = 0; i < events.size(); i++) {
            if (events.get(i).data == null) {
                positions.add(i + 1);
            }
        }
        return positions;
    }

    /** What the disk may hold if its power fails after so many events. */
    synchronized byte[] afterPowerCut(int position, SplittableRandom random) {
        int flushed = position;
        while (flushed > 0 && events.get(flushed - 1).data != null) {
            flushed--;
        }
        byte[] image = base.clone();
        for (int i = 0; i < position; i++) {
            Event event = events.get(i);
            if (event.data != null) {
                apply(event, event.data, image, i < flushed ? null : random);
            }
        }
        return image;
    }

    /** Writes all sectors of an event, or those that chance takes. */
    private static void apply(
            Event event, ByteBuffer data, byte[] image, @Nullable SplittableRandom chance) {
        for (int done = 0; done < data.capacity(); ) {
            int inSector = (event.offset + done) % SECTOR;
            int count = Math.min(SECTOR - inSector, data.capacity() - done);
            if (chance == null || chance.nextBoolean()) {
                data.get(done, image, event.offset + done, count);
            }
            done += count;
        }
    }

    @Override
    public ExportInfo info() {
        return info;
    }

    @Override
    public @Nullable String failureReason() {
        return null;
    }

    @Override
    public boolean writeMayBlock(long length, boolean fua) {
        return false;
    }

    @Override
    public synchronized void read(long offset, ByteBuffer target) {
        target.put(bytes, (int) offset, target.remaining());
    }

    @Override
    public boolean readNow(long offset, ByteBuffer target) {
        read(offset, target);
        return true;
    }

    @Override
    public synchronized void write(long offset, ByteBuffer source) {
        ByteBuffer data = ByteBuffer.allocate(source.remaining()).put(source);
        data.get(0, bytes, (int) offset, data.capacity());
        events.add(new Event((int) offset, data));
    }

    @Override
    public void zero(long offset, long length) {
        write(offset, ByteBuffer.allocate((int) length));
    }

    @Override
    public void trim(long offset, long length) {
        zero(offset, length);
    }

    @Override
    public synchronized void flush() {
        events.add(new Event(0, null));
    }

    @Override
    public void close() {}
}
