package pmemblk.nbd.cli;

import io.netty.channel.unix.DomainSocketAddress;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.StringJoiner;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.export.PoolExport;
import pmemblk.nbd.server.NbdServer;
import pmemblk.nbd.server.ServerOptions;
import pmemblk.nbd.tls.TlsOptions;
import pmemblk.pool.BlockPool;
import pmemblk.pool.Defragment;
import pmemblk.pool.Durability;
import pmemblk.pool.PoolInfo;
import pmemblk.pool.PoolNotFoundException;
import pmemblk.pool.PoolOptions;

/** Serves pools until SIGTERM or SIGINT. */
@Command(
        name = "serve",
        description = {
            "Serves pools, each as an export; the first one is the default export, too.",
            "Prints the URI of every export at every address, once connections are accepted there."
        },
        footer = {
            "  pmemblk-nbd serve --create 1G disk.pool",
            "  pmemblk-nbd serve --listen [::1]:0 --unix nbd.sock a.pool data=b.pool"
        })
final class ServeCommand implements Callable<Integer> {
    static final InetSocketAddress DEFAULT_ADDRESS =
            new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 10809);

    private static final long MAX_DEFAULT_WRITE_CACHE = 2L << 30;

    private static final Duration STATUS_PERIOD = Duration.ofSeconds(1);

    private static final Logger LOG = LoggerFactory.getLogger(ServeCommand.class);

    /** Asked for with {@code --create}: what an absent pool is made like. */
    static final class Creation {
        @Option(
                names = "--create",
                required = true,
                paramLabel = "SIZE",
                converter = ByteSize.Converter.class,
                description =
                        "Make pools that are absent, of this size: a number with K, M, G or T.")
        private long size;

        @Option(
                names = "--block-size",
                paramLabel = "N",
                converter = ByteSize.BlockSizeConverter.class,
                description = {
                    "With --create: bytes that are written whole or not at all, of a pool that is"
                            + " there, too [4096]."
                })
        private @Nullable Integer blockSize;
    }

    @Option(
            names = "--listen",
            paramLabel = "HOST:PORT",
            converter = ListenAddress.class,
            description = "Accept TCP connections there; port 0 is a free one [127.0.0.1:10809].")
    private List<InetSocketAddress> tcp = new ArrayList<>();

    @Option(
            names = "--unix",
            paramLabel = "PATH",
            description = "Accept connections on a Unix socket there.")
    private List<Path> unixSockets = new ArrayList<>();

    @Option(
            names = "--durability",
            paramLabel = "WHEN",
            defaultValue = "on-flush",
            converter = DurabilityConverter.class,
            description = {
                "When a write to an ordinary file is durable: on-flush, with the client's next"
                        + " flush or a second later, or every-write, before its reply [on-flush]."
            })
    private Durability durability = Durability.ON_FLUSH;

    @Option(
            names = "--write-cache",
            paramLabel = "SIZE",
            converter = CacheSizeConverter.class,
            description = {
                "Memory, at most, in which writes to ordinary files wait for the next flush, of all"
                        + " pools together; it outlives the process, as the page cache does. 0 is"
                        + " none [a sixteenth of the machine's memory, 2G at most]."
            })
    private @Nullable Long writeCache;

    @Option(
            names = "--defragment",
            paramLabel = "POOLS",
            defaultValue = "memory",
            converter = DefragmentConverter.class,
            description = {
                "Which pools to put in order while nobody asks for anything of them, so that large"
                        + " requests stay fast: memory, those on tmpfs and persistent memory; all,"
                        + " those in ordinary files, too, whose disk then has to write more; or off"
                        + " [memory]."
            })
    private Defragment defragment = Defragment.MEMORY;

    @Option(
            names = "--poll",
            paramLabel = "MICROSECONDS",
            converter = PollConverter.class,
            description = {
                "How long to look for the next request after one before sleeping, which makes"
                        + " requests that follow each other up to three times as fast and costs"
                        + " processor time while clients are active; 0 sleeps at once [50]."
            })
    private int pollMicros = 50;

    @ArgGroup(exclusive = false)
    private @Nullable Creation creation;

    @Mixin private AccessArguments access = new AccessArguments();

    @Mixin private TlsArguments tls = new TlsArguments();

    @Mixin private LimitArguments limits = new LimitArguments();

    @Parameters(
            arity = "1..*",
            paramLabel = "[NAME=]POOL",
            converter = PoolArgument.Converter.class,
            description = "A pool, and the name of its export [the file's, without extension].")
    private List<PoolArgument> pools = new ArrayList<>();

    /** Takes the values of {@code --durability} as they are spelt on the command line. */
    static final class DurabilityConverter implements ITypeConverter<Durability> {
        @Override
        public Durability convert(String value) {
            return switch (value) {
                case "on-flush" -> Durability.ON_FLUSH;
                case "every-write" -> Durability.EVERY_WRITE;
                default ->
                        throw new TypeConversionException(
                                "expected on-flush or every-write, found '" + value + "'");
            };
        }
    }

    /** Takes the values of {@code --defragment} as they are spelt on the command line. */
    static final class DefragmentConverter implements ITypeConverter<Defragment> {
        @Override
        public Defragment convert(String value) {
            return switch (value) {
                case "off" -> Defragment.OFF;
                case "memory" -> Defragment.MEMORY;
                case "all" -> Defragment.ALL;
                default ->
                        throw new TypeConversionException(
                                "expected memory, all or off, found '" + value + "'");
            };
        }
    }

    /** Takes sizes, and 0. */
    static final class CacheSizeConverter implements ITypeConverter<Long> {
        @Override
        public Long convert(String value) {
            return value.equals("0") ? 0L : ByteSize.parse(value);
        }
    }

    /** Takes what {@code --poll} may be. */
    static final class PollConverter implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String value) {
            if (!value.matches("\\d{1,6}")) {
                throw new TypeConversionException(
                        "expected microseconds from 0 to 999999, found '" + value + "'");
            }
            return Integer.valueOf(value);
        }
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        LogConfiguration.showEvents();
        if (tcp.isEmpty() && unixSockets.isEmpty()) {
            tcp.add(DEFAULT_ADDRESS);
        }
        List<String> names = pools.stream().map(PoolArgument::exportName).toList();
        TlsOptions tlsOptions = tls.options(names);
        ServerOptions options =
                new ServerOptions(tcp, unixSockets)
                        .withAccess(access.rules(names))
                        .withLimits(limits.limits())
                        .withPolling(pollMicros)
                        .withTls(tlsOptions);
        SequencedMap<String, Export> exports = new LinkedHashMap<>();
        NbdServer server;
        try {
            for (PoolArgument argument : pools) {
                add(argument, exports);
            }
            server = NbdServer.start(options, new Exports(exports));
        } catch (IOException | RuntimeException failure) {
            closeAll(exports.values()).forEach(failure::addSuppressed);
            throw failure;
        }
        ServiceManager manager = new ServiceManager(System.getenv("NOTIFY_SOCKET"));
        Runtime.getRuntime()
                .addShutdownHook(new Thread(() -> stop(manager, server, exports), "stop"));
        announce(server, tlsOptions, exports.sequencedKeySet());
        String status = status(exports);
        manager.ready(status);
        while (true) { // until the thread "stop" ends the process
            Thread.sleep(STATUS_PERIOD);
            String now = status(exports);
            if (!now.equals(status)) {
                manager.status(now);
            }
            status = now;
        }
    }

    /** How the exports fare, in one line. */
    private static String status(SequencedMap<String, Export> exports) {
        StringJoiner failures = new StringJoiner("; ");
        exports.forEach(
                (name, export) -> {
                    String reason = export.failureReason();
                    if (reason != null) {
                        failures.add("export '" + name + "' FAILED: " + reason);
                    }
                });
        String serving = "serving " + String.join(", ", exports.sequencedKeySet());
        return failures.length() == 0 ? serving : serving + "; " + failures;
    }

    private void add(PoolArgument argument, SequencedMap<String, Export> exports)
            throws IOException {
        String name = argument.exportName();
        if (exports.containsKey(name)) {
            throw new IOException(
                    "two exports are named '" + name + "'; name one of them otherwise: NAME=POOL");
        }
        BlockPool pool = open(argument);
        exports.put(name, new PoolExport(pool));
        PoolInfo info = pool.info();
        LOG.info(
                "export {}: {} on {}; survives kill -9: {}; survives a power cut: {}",
                name,
                info.path(),
                info.medium(),
                info.afterKill(),
                info.afterPowerCut());
    }

    /** Bytes for all pools. */
    private long writeCacheSize() {
        // By default the JVM takes up to a quarter of what memory the machine or container has.
        return writeCache != null
                ? writeCache
                : Math.min(Runtime.getRuntime().maxMemory() / 4, MAX_DEFAULT_WRITE_CACHE);
    }

    private BlockPool open(PoolArgument argument) throws IOException {
        Path path = argument.pool();
        boolean readOnly = access.isReadOnly(argument.exportName());
        PoolOptions options =
                PoolOptions.DEFAULT
                        .withReadOnly(readOnly)
                        .withDurability(durability)
                        .withDefragment(defragment)
                        .withWriteCacheSize(writeCacheSize() / pools.size());
        if (access.isReadOnly() && creation != null) {
            throw new IOException("--create and --read-only exclude each other; leave one out");
        }
        if (creation == null || readOnly) {
            return BlockPool.open(path, options);
        }
        try {
            int wanted = Objects.requireNonNullElse(creation.blockSize, 0);
            return BlockPool.open(path, options.withBlockSize(wanted));
        } catch (PoolNotFoundException absent) {
            LOG.info("{} is absent: making it", path);
            int blockSize =
                    Objects.requireNonNullElse(creation.blockSize, Main.DEFAULT_BLOCK_BYTES);
            BlockPool.create(path, blockSize, creation.size, FileMode.DEFAULT).close();
            return BlockPool.open(path, options);
        }
    }

    /** One URI of each kind that a client may use: with TLS, without, or either, TLS first. */
    private static void announce(
            NbdServer server, @Nullable TlsOptions tls, Collection<String> names) {
        for (SocketAddress address : server.addresses()) {
            for (String name : names) {
                if (tls != null) {
                    System.out.println(NbdUri.withTls(uri(address, name)));
                }
                if (tls == null || !tls.requiredFor(name)) {
                    System.out.println(uri(address, name));
                }
            }
        }
        System.out.flush();
    }

    private static String uri(SocketAddress address, String name) {
        return switch (address) {
            case InetSocketAddress tcp -> NbdUri.tcp(tcp, name);
            case DomainSocketAddress unix -> NbdUri.unix(Path.of(unix.path()), name);
            default -> throw new AssertionError("a listener at " + address);
        };
    }

    /**
     * Answers what is in flight, then gives the pools back. Runs as a shutdown hook, the only
     * supported way to learn of a signal. A virtual machine that ends by one exits with 128 + its
     * number whatever its hooks do, hence the halt: nothing is left to do, and all went well.
     */
    private static void stop(
            ServiceManager manager, NbdServer server, SequencedMap<String, Export> exports) {
        LOG.info("stopping");
        manager.stopping();
        int status = 0;
        try {
            server.close();
        } catch (RuntimeException failure) {
            LOG.error("the server did not stop cleanly", failure);
            status = Main.FAILED;
        }
        for (Exception failure : closeAll(exports.values())) {
            LOG.error("an export was not closed cleanly: {}", failure.getMessage(), failure);
            status = Main.FAILED;
        }
        LOG.info("stopped");
        Runtime.getRuntime().halt(status);
    }

    /** Closes all of them, whatever happens, and returns what did. */
    private static List<Exception> closeAll(Collection<Export> exports) {
        List<Exception> failures = new ArrayList<>();
        for (Export export : exports) {
            try {
                export.close();
            } catch (IOException | RuntimeException failure) {
                failures.add(failure);
            }
        }
        return failures;
    }
}
