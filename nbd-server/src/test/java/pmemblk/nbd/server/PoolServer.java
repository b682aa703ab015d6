package pmemblk.nbd.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.export.PoolExport;
import pmemblk.pool.BlockPool;

/** A server of a new pool named "disk", and of an export named "other". */
final class PoolServer implements AutoCloseable {
    final BlockPool pool;
    final NbdServer server;

    PoolServer(Path folder, int blockSize, long poolSize) throws IOException {
        pool = BlockPool.create(folder.resolve("disk.pool"), blockSize, poolSize, 0600);
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new PoolExport(pool));
        exports.put("other", new MemoryExport(1 << 20, false));
        server =
                NbdServer.start(
                        new ServerOptions(
                                List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                                List.of()),
                        new Exports(exports));
    }

    /** A client that has negotiated structured replies, and no export yet. */
    RawClient structured() throws IOException {
        RawClient client = new RawClient(server);
        client.greet();
        client.structured();
        return client;
    }

    void write(long block, int value) throws IOException {
        byte[] bytes = new byte[pool.blockSize()];
        Arrays.fill(bytes, (byte) value);
        pool.write(block, ByteBuffer.wrap(bytes));
    }

    @Override
    public void close() throws IOException {
        server.close();
        pool.close();
    }
}
