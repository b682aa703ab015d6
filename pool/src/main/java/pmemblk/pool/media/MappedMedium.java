package pmemblk.pool.media;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;

/**
 * A file mapped into memory, whose bytes are read and written by plain loads and stores.
 *
 * <p>Only for files whose pages never have to be fetched from a device: a fault on a cold page
 * holds up every thread of the JVM at its next safepoint. A page that cannot be had, because the
 * file was cut short or has a hole that its full file system cannot fill, is an {@link
 * InternalError}, which the JVM may throw a few frames above the access.
 */
abstract sealed class MappedMedium implements Medium permits DaxMedium, TmpfsMedium {
    private static final ValueLayout.OfInt WORD =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = WORD.varHandle();
    private static final VarHandle LONG =
            ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

    private final LockedFile file;
    private final Arena mapping;
    private final MemorySegment memory;

    @SuppressWarnings("MustBeClosed") // close() closes it
    MappedMedium(LockedFile file, MapMode mode) throws IOException {
        Arena opened = Arena.ofShared();
        try (FileChannel channel = file.openChannel()) {
            this.memory = channel.map(mode, 0, file.size(), opened);
        } catch (IOException | RuntimeException e) {
            opened.close();
            throw e;
        }
        this.file = file;
        this.mapping = opened;
    }

    final LockedFile file() {
        return file;
    }

    final MemorySegment memory() {
        return memory;
    }

    @Override
    public final long size() {
        return memory.byteSize();
    }

    @Override
    public final void read(long offset, MemorySegment target) {
        MemorySegment.copy(memory, offset, target, 0, target.byteSize());
    }

    @Override
    public final void write(long offset, MemorySegment source) {
        MemorySegment.copy(source, 0, memory, offset, source.byteSize());
    }

    @Override
    public final int load(long offset) {
        return (int) INT.getAcquire(memory, offset);
    }

    @Override
    public final void loadAll(long offset, int[] words, int count) {
        MemorySegment.copy(memory, WORD, offset, words, 0, count);
        VarHandle.acquireFence();
    }

    /** The processor looks up several addresses at a time, if it is told of them in a row. */
    @Override
    public final void touch(long offset) {
        load(offset);
    }

    @Override
    public final void store(long offset, int word) {
        INT.setRelease(memory, offset, word);
    }

    @Override
    public final void storeLong(long offset, long word) {
        LONG.setRelease(memory, offset, word);
    }

    @Override
    public final void requireWhole() throws IOException {
        file.requireWhole();
    }

    @Override
    public final void close() throws IOException {
        mapping.close();
        file.close();
    }
}
