package pmemblk.nbd.cli;

import io.netty.handler.ipfilter.IpSubnetFilterRule;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;
import pmemblk.nbd.server.AccessRules;

/** The options of {@code serve} that say who may use what. */
final class AccessArguments {
    @Option(names = "--read-only", description = "Let no client change anything.")
    private boolean readOnly;

    @Option(
            names = "--read-only-export",
            paramLabel = "EXPORT",
            description = "Let no client change this export.")
    private List<String> readOnlyExports = List.of();

    @Option(
            names = "--allow",
            paramLabel = "[EXPORT=]NETWORK",
            converter = AllowedNetwork.Converter.class,
            description = {
                "Take TCP clients, or give an export to them, only from this network or another"
                        + " that is allowed so: 192.0.2.0/24, 2001:db8::/32, or one address."
            })
    private List<AllowedNetwork> networks = List.of();

    @Option(
            names = "--max-clients",
            paramLabel = "EXPORT=N",
            converter = ClientCount.Converter.class,
            description = "Connections that may use an export at the same time [all].")
    private List<ClientCount> clientCounts = List.of();

    /** A network that may use an export; all may be used from it if the name is empty. */
    record AllowedNetwork(String exportName, IpSubnetFilterRule network) {
        static final class Converter implements ITypeConverter<AllowedNetwork> {
            @Override
            public AllowedNetwork convert(String text) {
                // Networks have no equals sign, and names may.
                int equals = text.lastIndexOf('=');
                String network = text.substring(equals + 1);
                try {
                    return new AllowedNetwork(
                            text.substring(0, Math.max(0, equals)), AccessRules.network(network));
                } catch (IllegalArgumentException e) {
                    throw new TypeConversionException(
                            "'" + network + "' is no network; write 192.0.2.0/24 or 2001:db8::/32");
                }
            }
        }
    }

    /** How many connections an export may have. */
    record ClientCount(String exportName, int count) {
        static final class Converter implements ITypeConverter<ClientCount> {
            @Override
            public ClientCount convert(String text) {
                int equals = text.lastIndexOf('=');
                if (equals < 1) {
                    throw new TypeConversionException(
                            "'" + text + "' names no export and count; write EXPORT=N");
                }
                return new ClientCount(
                        text.substring(0, equals), Count.parse(text.substring(equals + 1)));
            }
        }
    }

    /** Whether nobody may change any export. */
    boolean isReadOnly() {
        return readOnly;
    }

    /** Whether nobody may change this one. */
    boolean isReadOnly(String exportName) {
        return readOnly || readOnlyExports.contains(exportName);
    }

    /**
     * What they come to.
     *
     * @throws IOException if they name an export that is not served
     */
    AccessRules rules(Collection<String> exportNames) throws IOException {
        for (String name : readOnlyExports) {
            requireExport("--read-only-export " + name, name, exportNames);
        }
        List<IpSubnetFilterRule> ofAll = new ArrayList<>();
        Map<String, List<IpSubnetFilterRule>> byExport = new HashMap<>();
        for (AllowedNetwork one : networks) {
            if (one.exportName.isEmpty()) {
                ofAll.add(one.network);
            } else {
                requireExport("--allow " + one.exportName + "=…", one.exportName, exportNames);
                byExport.computeIfAbsent(one.exportName, name -> new ArrayList<>())
                        .add(one.network);
            }
        }
        Map<String, Integer> counts = new HashMap<>();
        for (ClientCount one : clientCounts) {
            requireExport("--max-clients " + one.exportName + "=…", one.exportName, exportNames);
            counts.put(one.exportName, one.count);
        }
        return new AccessRules(ofAll, byExport, counts);
    }

    /** Fails unless an option names an export that there is. */
    static void requireExport(String option, String name, Collection<String> exportNames)
            throws IOException {
        if (!exportNames.contains(name)) {
            throw new IOException(
                    "%s: no export has this name; the exports are %s"
                            .formatted(option, String.join(", ", exportNames)));
        }
    }
}
