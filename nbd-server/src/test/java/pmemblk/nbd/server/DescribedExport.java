package pmemblk.nbd.server;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.ExportInfo;

/** An export that is only asked what it is, and fails the test if it is asked for more. */
class DescribedExport implements Export {
    private final ExportInfo info;

    DescribedExport(ExportInfo info) {
        this.info = info;
    }

    private static AssertionError used() {
        return new AssertionError("this export is not to be used");
    }

    @Override
    public ExportInfo info() {
        return info;
    }

    @Override
    public boolean readNow(long offset, ByteBuffer target) {
        throw used();
    }

    @Override
    public boolean writeMayBlock(long length, boolean fua) {
        throw used();
    }

    @Override
    public void read(long offset, ByteBuffer target) {
        throw used();
    }

    @Override
    public void write(long offset, ByteBuffer source) throws IOException {
        throw used();
    }

    @Override
    public void zero(long offset, long length) throws IOException {
        throw used();
    }

    @Override
    public void trim(long offset, long length) {
        throw used();
    }

    @Override
    public void flush() {
        throw used();
    }

    @Override
    public @Nullable String failureReason() {
        return null;
    }

    @Override
    public void close() {}
}
