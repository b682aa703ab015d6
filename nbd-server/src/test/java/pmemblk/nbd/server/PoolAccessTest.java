package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;

/** A connection costs the storage nothing before it may use an export (CVE-2019-14850). */
@Timeout(60)
class PoolAccessTest {
    private final Queue<String> calls = new ConcurrentLinkedQueue<>();
    private NbdServer server;

    @BeforeEach
    void start() throws IOException {
        Export memory = new MemoryExport(1 << 20, false);
        Export counted =
                (Export)
                        Proxy.newProxyInstance(
                                Export.class.getClassLoader(),
                                new Class<?>[] {Export.class},
                                (proxy, method, arguments) -> {
                                    calls.add(method.getName());
                                    try {
                                        return method.invoke(memory, arguments);
                                    } catch (InvocationTargetException e) {
                                        throw e.getCause();
                                    }
                                });
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", counted);
        ServerOptions options =
                new ServerOptions(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        List.of());
        server = NbdServer.start(options.withTls(InTls.offered()), new Exports(exports));
        calls.clear();
    }

    @AfterEach
    void stop() {
        server.close();
    }

    /** What is asked of the storage, beside what it is, which is known without looking. */
    private List<String> accesses() {
        return calls.stream().filter(call -> !call.equals("info")).toList();
    }

    @Test
    void cve2019_14850NothingBeforeGoTouchesTheStorage() throws IOException {
        new RawClient(server).close();
        new RawClient(server).reset();
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.option(3, new byte[0]);
            assertEquals(2, client.optionReply());
            assertEquals(1, client.optionReply());
            assertEquals(1, client.info(6, "disk"));
            client.structured();
            assertEquals(3, client.contexts(false, "disk").size());
            assertEquals(1, client.contexts(true, "disk", "base:allocation").size());
            assertEquals(0x8000_0006, client.info(7, "nobody"));
            client.option(99, new byte[100]);
            assertEquals(0x8000_0001, client.optionReply());
            client.option(2, new byte[0]);
            assertEquals(1, client.optionReply());
            assertTrue(client.isHungUp());
        }
        try (RawClient client = new RawClient(server)) {
            client.greet();
            client.option(1, "nobody".getBytes(StandardCharsets.UTF_8));
            assertTrue(client.isHungUp());
        }

        assertEquals(List.of(), accesses());
    }

    @Test
    void requestsDoTouchIt() throws IOException {
        try (RawClient client = RawClient.transmitting(server)) {
            assertEquals(List.of(), accesses());
            assertEquals(0, client.call(RawClient.READ, 0, 0, 1, new byte[1]));
        }
        assertEquals("readNow", accesses().getFirst());
    }
}
