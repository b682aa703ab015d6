package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.MemoryExport;
import pmemblk.nbd.protocol.Limits;
import pmemblk.nbd.tls.TlsOptions;

/** A server that offers TLS in this way or that, with two exports, and its clients. */
@Timeout(60)
abstract class TlsFixture {
    static final int EXPORT_NAME = 1;
    static final int ABORT = 2;
    static final int LIST = 3;
    static final int STARTTLS = 5;
    static final int INFO = 6;
    static final int GO = 7;
    static final int STRUCTURED_REPLY = 8;

    static final int ACK = 1;
    static final int SERVER = 2;
    static final int ERR_POLICY = 0x8000_0002;
    static final int ERR_INVALID = 0x8000_0003;
    static final int ERR_TLS_REQD = 0x8000_0005;
    static final int ERR_UNKNOWN = 0x8000_0006;

    static final byte[] NOTHING = {};

    @TempDir static Path folder = Path.of("");
    static Path certificates = Path.of("");
    static Path others = Path.of("");

    private @Nullable NbdServer server;

    @BeforeAll
    static void makeCertificates() throws IOException {
        certificates = Certificates.make(folder.resolve("ours"));
        others = Certificates.make(folder.resolve("others"));
    }

    @AfterAll
    static void noBufferHasLeaked() {
        assertEquals(List.of(), List.copyOf(LeakedBuffers.find()));
    }

    @AfterEach
    void stop() {
        if (server != null) {
            server.close();
        }
    }

    NbdServer serve(@Nullable TlsOptions tls) throws IOException {
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", new MemoryExport(Limits.PAYLOAD, false));
        exports.put("other", new MemoryExport(1 << 20, false));
        ServerOptions options =
                new ServerOptions(
                                List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                                List.of())
                        .withThreads(2, 2)
                        .withStopTimeout(Duration.ofMillis(100))
                        .withTls(tls);
        NbdServer started = NbdServer.start(options, new Exports(exports));
        server = started;
        return started;
    }

    RawClient connect(@Nullable TlsOptions tls) throws IOException {
        RawClient client = new RawClient(serve(tls));
        client.greet();
        return client;
    }

    static TlsOptions on() {
        return new TlsOptions(certificates, false, false, Map.of());
    }

    static TlsOptions required() {
        return new TlsOptions(certificates, true, false, Map.of());
    }

    static TlsOptions verifying() {
        return new TlsOptions(certificates, true, true, Map.of());
    }

    static TlsOptions diskOnlyFor(String name) {
        return new TlsOptions(certificates, false, true, Map.of("disk", Set.of(name)));
    }

    static int answer(RawClient client, int option, byte[] data) throws IOException {
        client.option(option, data);
        return client.optionReply();
    }

    static byte[] name(String name) {
        return name.getBytes(StandardCharsets.UTF_8);
    }

    static void requireTransmission(RawClient client) throws IOException {
        byte[] bytes = {1, 2, 3};
        byte[] read = new byte[3];
        assertEquals(0, client.call(RawClient.WRITE, 0, 7, 3, bytes));
        assertEquals(0, client.call(RawClient.READ, 0, 7, 3, read));
        assertArrayEquals(bytes, read);
    }

    NbdServer requireServer() {
        if (server == null) {
            throw new IllegalStateException("not started");
        }
        return server;
    }
}
