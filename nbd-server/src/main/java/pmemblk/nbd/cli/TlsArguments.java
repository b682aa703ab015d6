package pmemblk.nbd.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;
import pmemblk.nbd.tls.TlsOptions;

/** The options of {@code serve} that concern TLS. */
final class TlsArguments {
    enum Mode {
        OFF,
        ON,
        REQUIRE
    }

    @Option(
            names = "--tls",
            paramLabel = "WHEN",
            converter = ModeConverter.class,
            description = {
                "off, on for clients that ask for it, or require for all"
                        + " [require with --tls-certificates, else off]."
            })
    private @Nullable Mode mode;

    @Option(
            names = "--tls-certificates",
            paramLabel = "DIR",
            description = {
                "A folder with server-cert.pem and server-key.pem, as tls-init makes it. When they"
                        + " change, new connections get the new ones."
            })
    private @Nullable Path certificates;

    @Option(
            names = "--tls-verify-peer",
            description = {
                "Take TLS clients only with a certificate that ca-cert.pem in DIR signed and"
                        + " ca-crl.pem, if it is there, does not revoke."
            })
    private boolean verifyPeer;

    @Option(
            names = "--tls-allow",
            paramLabel = "EXPORT=NAME",
            converter = AllowedName.Converter.class,
            description = {
                "Give an export only to clients whose certificate has this common or alternative"
                        + " name, or another that is allowed so. Needs --tls-verify-peer."
            })
    private List<AllowedName> allowed = List.of();

    /** A name that may use an export, written {@code EXPORT=NAME}. */
    record AllowedName(String exportName, String name) {
        static final class Converter implements ITypeConverter<AllowedName> {
            @Override
            public AllowedName convert(String text) {
                int equals = text.indexOf('=');
                if (equals < 1 || equals == text.length() - 1) {
                    throw new TypeConversionException(
                            "'" + text + "' names no export and client; write EXPORT=NAME");
                }
                return new AllowedName(text.substring(0, equals), text.substring(equals + 1));
            }
        }
    }

    /** Takes the values of {@code --tls} as they are spelt on the command line. */
    static final class ModeConverter implements ITypeConverter<Mode> {
        @Override
        public Mode convert(String value) {
            return switch (value) {
                case "off" -> Mode.OFF;
                case "on" -> Mode.ON;
                case "require" -> Mode.REQUIRE;
                default ->
                        throw new TypeConversionException(
                                "expected off, on or require, found '" + value + "'");
            };
        }
    }

    /**
     * What they come to; null if there is no TLS.
     *
     * @throws IOException if they do not go together, or name an export that is not served
     */
    @Nullable TlsOptions options(Collection<String> exportNames) throws IOException {
        if (mode == Mode.OFF) {
            return null;
        }
        if (certificates == null) {
            if (mode != null || verifyPeer || !allowed.isEmpty()) {
                throw new IOException("TLS needs --tls-certificates DIR; tls-init makes them");
            }
            return null;
        }
        if (!allowed.isEmpty() && !verifyPeer) {
            throw new IOException("--tls-allow needs --tls-verify-peer; give both");
        }
        return new TlsOptions(
                certificates, mode != Mode.ON, verifyPeer, namesByExport(exportNames));
    }

    private Map<String, Set<String>> namesByExport(Collection<String> exportNames)
            throws IOException {
        Map<String, Set<String>> names = new HashMap<>();
        for (AllowedName one : allowed) {
            AccessArguments.requireExport(
                    "--tls-allow %s=%s".formatted(one.exportName, one.name),
                    one.exportName,
                    exportNames);
            names.computeIfAbsent(one.exportName, export -> new HashSet<>()).add(one.name);
        }
        return names;
    }
}
