package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a server takes that has nothing to do. */
class MemoryIT {
    private static final long LIMIT = 128 << 20;
    private static final long LIMIT_PER_CONNECTION = 64 << 10;
    private static final int CONNECTIONS = 1000;
    private static final int BLOCK_SIZE = 4096;

    @Test
    void poolOfOneTebibyteOnADiskTakesLittle(@TempDir(factory = Place.Disk.class) Path directory)
            throws Exception {
        requireLittle(Pools.createOneTebibyte(directory));
    }

    @Test
    void poolOfOneTebibyteInMemoryTakesLittle(@TempDir(factory = Place.Tmpfs.class) Path directory)
            throws Exception {
        requireLittle(Pools.createOneTebibyte(directory));
    }

    /** As it is started, and with many connections that have each been used. */
    private static void requireLittle(Path pool) throws Exception {
        try (ServerProcess server = ServerProcess.startWith("", "", pool)) {
            long idle = server.residentMemory();
            List<NbdConnection> connections = new ArrayList<>();
            try {
                for (int i = 0; i < CONNECTIONS; i++) {
                    connections.add(used(server.address(), i));
                }
                long more = (server.residentMemory() - idle) / CONNECTIONS;

                System.out.printf(
                        "%s: %d KiB idle, %d bytes more a connection%n", pool, idle >> 10, more);
                assertTrue(idle <= LIMIT, idle + " bytes");
                assertTrue(more <= LIMIT_PER_CONNECTION, more + " bytes a connection");
            } finally {
                for (NbdConnection connection : connections) {
                    connection.close();
                }
            }
        }
    }

    private static NbdConnection used(InetSocketAddress address, int number) throws IOException {
        NbdConnection connection = new NbdConnection(address, "", BLOCK_SIZE);
        connection.send(NbdConnection.WRITE, 0, number * 4096L, BLOCK_SIZE, new byte[BLOCK_SIZE]);
        connection.receive();
        connection.read(number * 4096L, BLOCK_SIZE);
        return connection;
    }
}
