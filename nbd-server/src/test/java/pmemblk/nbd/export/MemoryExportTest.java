package pmemblk.nbd.export;

class MemoryExportTest extends ExportContract {
    @Override
    Export open() {
        return new MemoryExport(2 << 20, false);
    }
}
