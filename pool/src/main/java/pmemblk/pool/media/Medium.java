package pmemblk.pool.media;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A range of bytes, numbered from 0, that outlives the process and can be made durable.
 *
 * <p>All methods but {@link #close} may be called from any thread. Bytes of one call are not atomic
 * against other calls unless it says so; after a power cut, each aligned 8-byte word that was not
 * persisted holds its old or its new value. Multi-byte values are little-endian. Every method
 * throws an {@link IOException} if the device fails, or if the file no longer covers the range.
 */
public interface Medium extends AutoCloseable {

    /** What kind of storage this is, and so what it promises. */
    enum Kind {
        /** Persistent memory, mapped: cache lines are written back at each step. */
        DAX("persistent memory (DAX)", "every replied write", "every replied write"),
        /** A file on a disk: synced when a flush asks for it. */
        FILE("ordinary file", "every replied write", "every flushed write, and no torn block"),
        /** A file in main memory: stores in order, nothing to sync. */
        TMPFS("tmpfs (volatile memory)", "every replied write", "nothing");

        private final String title;
        private final String afterKill;
        private final String afterPowerCut;

        Kind(String title, String afterKill, String afterPowerCut) {
            this.title = title;
            this.afterKill = afterKill;
            this.afterPowerCut = afterPowerCut;
        }

        /** The storage in words a user knows. */
        public String title() {
            return title;
        }

        /** What is still there after the process was killed. */
        public String afterKill() {
            return afterKill;
        }

        /** What is still there after the machine lost power. */
        public String afterPowerCut() {
            return afterPowerCut;
        }
    }

    Kind kind();

    /** The number of bytes. */
    long size();

    /** Fills {@code target} with the bytes at {@code offset}. */
    void read(long offset, MemorySegment target) throws IOException;

    /**
     * Does what {@link #read} does if that takes no waiting for a device; else returns false, and
     * {@code target} may hold some of the bytes.
     */
    default boolean readNow(long offset, MemorySegment target) throws IOException {
        read(offset, target);
        return true;
    }

    /**
     * Puts all of {@code source} at {@code offset}; it is durable only after a {@link #persist}.
     */
    void write(long offset, MemorySegment source) throws IOException;

    /**
     * The 4-byte word at an offset that is a multiple of 4, read whole, with acquire semantics. A
     * word that is ever loaded must be changed by {@link #store} alone, in memory also by {@link
     * #storeLong}.
     */
    int load(long offset) throws IOException;

    /**
     * Loads {@code count} words in a row from an offset on into the first elements of {@code
     * words}, with acquire semantics. One that is stored meanwhile may have old bytes and new ones.
     */
    default void loadAll(long offset, int[] words, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            words[i] = load(offset + (long) i * Integer.BYTES);
        }
    }

    /**
     * Brings the address of a place close that will soon be read or written, where that saves time.
     * The offset is a multiple of 4.
     */
    default void touch(long offset) {}

    /** Whether {@link #load} can do without waiting for a device. */
    default boolean isAtHand(long offset) {
        return true;
    }

    /** Stores the 4-byte word at a multiple of 4 whole, with release semantics. */
    void store(long offset, int word) throws IOException;

    /** Stores the first {@code count} of some words in a row from an offset on, each as one. */
    default void storeAll(long offset, int[] words, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            store(offset + (long) i * Integer.BYTES, words[i]);
        }
    }

    /** Stores words, each as one, at offsets that rise; what lies between them stays as it is. */
    default void storeEach(long[] offsets, int[] words) throws IOException {
        for (int i = 0; i < words.length; i++) {
            store(offsets[i], words[i]);
        }
    }

    /**
     * Sees to it that the device has a place for the word at a multiple of 4, so that no later
     * {@link #store} of it can fail for want of one. The word stays as it is, or as somebody stores
     * it meanwhile.
     */
    default void reserve(long offset) throws IOException {}

    /** Gives a range that nobody has written yet its place, so that no write there can fail. */
    default void allocate(long offset, long length) throws IOException {}

    /** Gives up the place of whole pages in a range; all of it reads as zeroes from then on. */
    default void discard(long offset, long length) throws IOException {}

    /** Stores the 8-byte word at a multiple of 8 whole, with release semantics. */
    void storeLong(long offset, long word) throws IOException;

    /** Returns once everything written to the range before survives a power cut. */
    void persist(long offset, long length) throws IOException;

    /**
     * Fails if what is written is lost all the same, since the file has lost its name, or bytes.
     */
    void requireWhole() throws IOException;

    /**
     * Why an earlier write or store has failed, other than for want of room, or null if none has:
     * what was to be written there cannot be relied on, and the device likewise.
     */
    default @Nullable IOException writeFailure() {
        return null;
    }

    /** Has all reads fail from now on, as far as it can: the bytes are somebody else's. */
    default void refuseReads() {}

    /** Begins with what {@link #persist} will soon be asked for, where that takes long. */
    default void startPersist() {}

    /**
     * Lets later reads of a range find what is durable, in case that a sync failed and left memory
     * and device different. All that was written there has been persisted, or failed to be.
     */
    default void refresh(long offset, long length) throws IOException {}

    /** Releases the file and its lock. The caller sees to it that no other call is under way. */
    @Override
    void close() throws IOException;
}
