package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Clients that come in TLS, by GnuTLS all of them, and those that should not get in. */
class TlsIT {
    private static final Duration KERNEL_LIMIT = Duration.ofMinutes(6);

    @TempDir(factory = Place.Tmpfs.class)
    private static Path shared = Path.of("");

    /** All files of a set; those of the authority alone; all files of another set. */
    private static Path tls = Path.of("");

    private static Path authorityOnly = Path.of("");
    private static Path others = Path.of("");

    @TempDir(factory = Place.Tmpfs.class)
    private Path directory = Path.of("");

    private Path pool = Path.of("");

    @BeforeAll
    static void makeCertificates() throws Exception {
        tls = shared.resolve("tls");
        others = shared.resolve("others");
        Command.pmemblkNbd("tls-init", tls).succeed();
        Command.pmemblkNbd("tls-init --host disks.example", others).succeed();
        authorityOnly = Files.createDirectory(shared.resolve("authority"));
        Files.copy(tls.resolve("ca-cert.pem"), authorityOnly.resolve("ca-cert.pem"));
    }

    @BeforeEach
    void makePool() throws Exception {
        pool = Pools.create(directory, "disk.pool", 4096);
    }

    private ServerProcess serve(int uriCount, String options) throws Exception {
        return ServerProcess.start(
                uriCount,
                (options + " --listen 127.0.0.1:0 --unix").strip(),
                directory.resolve("nbd.sock"),
                pool);
    }

    private static String required() {
        return "--tls-certificates " + tls;
    }

    private static String verifying() {
        return required() + " --tls-verify-peer";
    }

    /** The URI as libnbd takes it: with the folder of the client's certificates. */
    private static String with(Path certificates, String uri) {
        String separator = uri.contains("?") ? "&" : "?";
        return uri + separator + "tls-certificates=" + certificates + "&tls-verify-peer=1";
    }

    private static String plain(String uri) {
        return uri.replaceFirst("^nbds", "nbd");
    }

    /** A command of qemu-img with these credentials, and the server's disk as qemu names it. */
    private static Command qemuImg(String words, Path certificates, String uri, Object... more) {
        String disk =
                "driver=nbd,tls-creds=tls,export=disk,host=127.0.0.1,port="
                        + URI.create(uri).getPort();
        String[] command = words.formatted(disk).split(" ", 2);
        return Command.of(
                "qemu-img "
                        + command[0]
                        + " --object tls-creds-x509,id=tls,endpoint=client,dir="
                        + certificates
                        + " "
                        + command[1],
                more);
    }

    @Test
    void nbdinfoAndNbdcopyTakeTheUrisThatArePrinted() throws Exception {
        Path source = Pools.randomFile(directory.resolve("source"), Pools.diskSize(pool));
        Path copy = directory.resolve("copy");

        try (ServerProcess server = serve(2, required())) {
            String tcp = server.uris().get(0);
            String unix = server.uris().get(1);
            assertTrue(tcp.startsWith("nbds://127.0.0.1:"), tcp);
            assertTrue(unix.startsWith("nbds+unix:///disk?socket=/"), unix);
            for (String uri : server.uris()) {
                String info = Command.of("nbdinfo", with(authorityOnly, uri)).succeed().output();
                assertTrue(info.contains("newstyle-fixed with TLS"), info);
            }
            Command.of("nbdcopy", source, with(authorityOnly, tcp)).succeed();
            Command.of("nbdcopy", with(authorityOnly, unix), copy).succeed();
            assertEquals(-1, Files.mismatch(source, copy));
            Command.of("nbdcopy --request-size=33554432", source, with(authorityOnly, unix))
                    .succeed();
            Command.of(
                            "nbdcopy --connections=4 --threads=4 --request-size=33554432",
                            with(authorityOnly, tcp),
                            copy)
                    .succeed();
            assertEquals(-1, Files.mismatch(source, copy));
        }
        Pools.checkWithPmempool(pool);
    }

    @Test
    void qemuImgConvertsAndCompares() throws Exception {
        Path source = Pools.randomFile(directory.resolve("source"), Pools.diskSize(pool));
        Path copy = directory.resolve("copy");

        try (ServerProcess server = serve(2, verifying())) {
            String uri = server.uri();
            qemuImg("convert -n -f raw --target-image-opts " + source + " %s", tls, uri).succeed();
            qemuImg("convert --image-opts -O raw %s", tls, uri, copy).succeed();
            assertEquals(-1, Files.mismatch(source, copy));
            qemuImg("info --image-opts %s", others, uri).end(1);
        }
        Pools.checkWithPmempool(pool);
    }

    /** Over structured replies, by which qemu leaves out what is zero. */
    @Test
    void qemuImgMapsAndComparesWhatIsSparse() throws Exception {
        Path copy = directory.resolve("copy");

        try (ServerProcess server = serve(2, verifying())) {
            String uri = server.uri();
            qemuIo("write -P 0x5a 8192 12288", uri).succeed();
            qemuIo("write -z 12288 4096", uri).succeed();
            String map = qemuImg("map --output=json --image-opts %s", tls, uri).succeed().output();
            List<String> data =
                    map.lines().filter(line -> line.contains("\"zero\": false")).toList();
            assertEquals(2, data.size(), map);
            assertTrue(data.getFirst().contains("\"start\": 8192, \"length\": 4096,"), map);
            assertTrue(data.getLast().contains("\"start\": 16384, \"length\": 4096,"), map);
            qemuImg("convert --image-opts -O raw %s", tls, uri, copy).succeed();
            String compare =
                    "compare --image-opts %s driver=raw,file.driver=file,file.filename=" + copy;
            qemuImg(compare, tls, uri).succeed();
            qemuIo("write -P 0x5b 16384 1", uri).succeed();
            qemuImg(compare, tls, uri).end(1);
        }
    }

    /** A command of qemu-io on the server's disk. */
    private static Command qemuIo(String command, String uri) {
        return Command.of(
                "qemu-io --object tls-creds-x509,id=tls,endpoint=client,dir="
                        + tls
                        + " --image-opts driver=nbd,tls-creds=tls,export=disk,host=127.0.0.1,port="
                        + URI.create(uri).getPort()
                        + " -c",
                command);
    }

    @Test
    void nbdshAsksForStatusInTls() throws Exception {
        try (ServerProcess server = serve(2, verifying())) {
            String script =
                    """
                    h.set_tls(nbd.TLS_REQUIRE)
                    h.set_uri_allow_local_file(True)
                    h.add_meta_context('base:allocation')
                    h.connect_uri('%s')
                    print(h.get_tls_negotiated(), h.get_structured_replies_negotiated())
                    h.pwrite(b'x' * 4096, 4096, nbd.CMD_FLAG_FUA)
                    h.block_status(12288, 0, lambda name, at, entries, error: print(entries) or 0)
                    print(h.pread(3, 4095))
                    h.shutdown()
                    """
                            .formatted(with(tls, server.uri()));
            assertEquals(
                    """
                    True True
                    [4096, 2, 4096, 0, 4096, 2]
                    bytearray(b'\\x00xx')
                    """,
                    Command.of("nbdsh -c", script)
                            .with("PATH", "/usr/bin:/bin")
                            .succeed()
                            .output());
        }
    }

    @Test
    void nbdClientLists() throws Exception {
        try (ServerProcess server = serve(2, verifying())) {
            int port = server.address().getPort();
            String words =
                    "nbd-client -l 127.0.0.1 %d -cacertfile %s/ca-cert.pem".formatted(port, tls);
            String own = " -certfile %1$s/client-cert.pem -keyfile %1$s/client-key.pem";
            String listed = Command.of(words + own.formatted(tls)).succeed().output();
            assertTrue(listed.contains("\ndisk: pmemblk pool: "), listed);
            Command.of(words + own.formatted(others)).end(1);
            Command.of("nbd-client -l 127.0.0.1", port).end(1);
        }
    }

    @Test
    void nbdClientCarriesTlsForTheKernel() throws Exception {
        Path large = directory.resolve("large.pool");
        String options = verifying() + " --create 100M --listen 127.0.0.1:0";

        try (ServerProcess server = ServerProcess.start(1, options, large)) {
            String output =
                    Command.of(
                                    "kernel/with-kernel-nbd --no-attach --strict --export large"
                                            + " --server 127.0.0.1:%d --share %s"
                                                    .formatted(server.address().getPort(), tls)
                                            + " -- kernel/guest/tls-attach.sh")
                            .within(KERNEL_LIMIT)
                            .succeed()
                            .output();
            assertTrue(output.contains("64 MiB read back in TLS"), output);
        }
        Pools.checkWithPmempool(large);
    }

    /** Of libnbd: it took any certificate. */
    @Test
    void cve2024_7383WhoDoesNotTrustTheAuthorityOrFindsNoSuchHostGoesAway() throws Exception {
        try (ServerProcess server = serve(2, required())) {
            // Over a Unix socket libnbd 1.14 verifies nobody.
            Command.of("nbdinfo", with(others, server.uri())).end(1);
            qemuImg("info --image-opts %s", tls, server.uri()).succeed();
            qemuImg("info --image-opts %s,tls-hostname=disks.example", tls, server.uri()).end(1);
        }
    }

    @Test
    void whoIsNotVerifiedIsRefused() throws Exception {
        Path forged = Files.createDirectory(directory.resolve("forged"));
        Files.copy(tls.resolve("ca-cert.pem"), forged.resolve("ca-cert.pem"));
        for (String file : List.of("client-cert.pem", "client-key.pem")) {
            Files.copy(others.resolve(file), forged.resolve(file));
        }

        try (ServerProcess server = serve(2, verifying())) {
            for (String uri : server.uris()) {
                Command.of("nbdinfo", with(tls, uri)).succeed();
                Command.of("nbdinfo", with(authorityOnly, uri)).end(1);
                Command.of("nbdinfo", with(forged, uri)).end(1);
                Command.of("nbdinfo", plain(uri)).end(1);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"client, 0", "nobody, 1"})
    void exportIsGivenToWhoIsAllowed(String name, int status) throws Exception {
        try (ServerProcess server = serve(2, verifying() + " --tls-allow disk=" + name)) {
            for (String uri : server.uris()) {
                Command.of("nbdinfo", with(tls, uri)).end(status);
            }
        }
    }

    @Test
    void tlsIsTheClientsChoiceWhereItIsOn() throws Exception {
        try (ServerProcess server = serve(4, "--tls on " + required())) {
            List<String> uris = server.uris();
            for (int i : new int[] {0, 2}) {
                assertEquals(plain(uris.get(i)), uris.get(i + 1));
                String info =
                        Command.of("nbdinfo", with(authorityOnly, uris.get(i))).succeed().output();
                assertTrue(info.contains("newstyle-fixed with TLS"), info);
                info = Command.of("nbdinfo", uris.get(i + 1)).succeed().output();
                assertTrue(info.contains("newstyle-fixed without TLS"), info);
            }
        }
    }

    /** Of libnbd: it let an attacker end what it had begun as a client that insists on TLS. */
    @Test
    void cve2019_14842ClientThatInsistsOnTlsGoesAwayWhereItIsOff() throws Exception {
        try (ServerProcess server = serve(2, "--tls off")) {
            for (String uri : server.uris()) {
                Command.of("nbdinfo", uri).succeed();
                Command.of("nbdinfo", with(tls, uri.replaceFirst("^nbd", "nbds"))).end(1);
            }
            Command.of("nbd-client -l -x 127.0.0.1", server.address().getPort()).end(1);
        }
    }

    /** As nbdkit's and qemu's manuals make them, by other hands and with keys of another kind. */
    @Test
    void certificatesThatOpensslMadeServe() throws Exception {
        Path made = Files.createDirectory(directory.resolve("made"));
        openssl(made, "genrsa -traditional -out ca-key.pem 2048");
        openssl(made, "req -x509 -key ca-key.pem -subj /CN=ca -days 2 -out ca-cert.pem");
        for (String name : List.of("server", "client")) {
            openssl(made, "genrsa -traditional -out %s-key.pem 3072".formatted(name));
            openssl(
                    made,
                    "req -x509 -CA ca-cert.pem -CAkey ca-key.pem -key %1$s-key.pem -subj /CN=%1$s"
                                    .formatted(name)
                            + " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
                            + " -addext basicConstraints=critical,CA:FALSE -days 2 -text"
                            + " -out %s-cert.pem".formatted(name));
        }

        String options = "--tls-verify-peer --tls-allow disk=client --tls-certificates " + made;
        try (ServerProcess server = serve(2, options)) {
            for (String uri : server.uris()) {
                Command.of("nbdinfo", with(made, uri)).succeed();
            }
        }
    }

    private static void openssl(Path folder, String words) throws Exception {
        Command.of("openssl " + words).in(folder).succeed();
    }

    @Test
    void certificatesAreReplacedWithoutARestart() throws Exception {
        Path used = Files.createDirectory(directory.resolve("used"));
        copySet(tls, used);

        try (ServerProcess server = serve(2, "--tls-certificates " + used)) {
            Command.of("nbdinfo", with(tls, server.uri())).succeed();
            Files.writeString(used.resolve("server-cert.pem"), "half a certif");
            server.awaitLog("server-cert.pem");
            Command.of("nbdinfo", with(tls, server.uri())).succeed();
            copySet(others, used);
            server.awaitLog("CN=disks.example");
            Command.of("nbdinfo", with(tls, server.uri())).end(1);
            Command.of("nbdinfo", with(others, server.uri())).succeed();
        }
    }

    private static void copySet(Path from, Path to) throws IOException {
        for (String file : List.of("server-cert.pem", "server-key.pem")) {
            Files.copy(from.resolve(file), to.resolve(file), StandardCopyOption.REPLACE_EXISTING);
        }
    }

    @Test
    void tlsIsNotBegunAgain() throws Exception {
        try (ServerProcess server = serve(2, required());
                Socket plain =
                        new Socket(server.address().getAddress(), server.address().getPort())) {
            DataOutputStream out = new DataOutputStream(plain.getOutputStream());
            out.writeInt(3); // fixed newstyle, no zeroes
            out.writeLong(0x49484156454f5054L);
            out.writeInt(5); // STARTTLS
            out.writeInt(0);
            new DataInputStream(plain.getInputStream()).skipNBytes(18 + 20); // greeting, ACK
            SSLSocket encrypted =
                    (SSLSocket)
                            trusting(tls)
                                    .getSocketFactory()
                                    .createSocket(plain, "localhost", plain.getPort(), true);
            encrypted.setEnabledProtocols(new String[] {"TLSv1.2"});
            encrypted.startHandshake();

            assertThrows(
                    SSLException.class,
                    () -> {
                        encrypted.startHandshake();
                        encrypted.getInputStream().read();
                    });
        }
    }

    private static SSLContext trusting(Path certificates) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        try (InputStream in = Files.newInputStream(certificates.resolve("ca-cert.pem"))) {
            trusted.setCertificateEntry(
                    "ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    @Test
    void tlsInitReplacesNothing() throws Exception {
        Command.pmemblkNbd("tls-init", tls)
                .end(2)
                .assertOneLine("tls-init", tls.resolve("ca-cert.pem") + " exists");
    }
}
