package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.handler.ipfilter.IpSubnetFilterRule;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;
import pmemblk.nbd.server.AccessRules;

class AccessArgumentsTest {
    @Command
    private static final class Host {
        @CommandLine.Mixin private AccessArguments access = new AccessArguments();
    }

    private static AccessArguments arguments(String line) {
        String[] words = line.isEmpty() ? new String[0] : line.split(" ", -1);
        return CommandLine.populateCommand(new Host(), words).access;
    }

    private static AccessRules rules(String line) throws IOException {
        return arguments(line).rules(List.of("a", "b=c"));
    }

    @Test
    void everybodyMayDoEverythingUnlessToldOtherwise() throws IOException {
        assertEquals(AccessRules.NONE, rules(""));
        assertFalse(arguments("").isReadOnly("a"));
    }

    @Test
    void exportsAreReadOnlyOneByOneOrAll() {
        AccessArguments one = arguments("--read-only-export a");
        assertTrue(one.isReadOnly("a"));
        assertFalse(one.isReadOnly("b=c"));
        assertTrue(arguments("--read-only").isReadOnly("b=c"));
    }

    @Test
    void networksAddUp() throws IOException {
        AccessRules rules =
                rules(
                        "--allow 192.0.2.0/24 --allow a=::1 --allow b=c=10.0.0.0/8"
                                + " --allow a=10.0.0.0/8");

        assertEquals(List.of("192.0.2.7"), matching(rules.networks()));
        assertEquals(List.of("::1", "10.9.8.7"), matching(rules.exportNetworks().get("a")));
        assertEquals(List.of("10.9.8.7"), matching(rules.exportNetworks().get("b=c")));
        assertEquals(2, rules.exportNetworks().size());
    }

    private static List<String> matching(@Nullable List<IpSubnetFilterRule> networks) {
        return Stream.of("192.0.2.7", "::1", "10.9.8.7")
                .filter(
                        address ->
                                Objects.requireNonNull(networks).stream()
                                        .anyMatch(
                                                network ->
                                                        network.matches(
                                                                new InetSocketAddress(
                                                                        InetAddress.ofLiteral(
                                                                                address),
                                                                        1))))
                .toList();
    }

    @Test
    void exportsHaveCountsOfClients() throws IOException {
        assertEquals(
                Map.of("a", 3, "b=c", 1),
                rules("--max-clients a=3 --max-clients b=c=1").maxConnections());
    }

    @ParameterizedTest
    @ValueSource(strings = {"--allow d=::1", "--max-clients d=1", "--read-only-export d"})
    void exportsThatAreNotServedAreRefused(String line) {
        IOException refused = assertThrows(IOException.class, () -> rules(line));

        String message = String.valueOf(refused.getMessage());
        assertTrue(message.contains("no export has this name; the exports are a, b=c"), message);
    }

    @ParameterizedTest
    @CsvSource({
        "--allow localhost, 'localhost' is no network",
        "--allow a=10.0.0.0/33, '10.0.0.0/33' is no network",
        "--allow ::/129, '::/129' is no network",
        "--allow 10.0.0.0/, '10.0.0.0/' is no network",
        "--allow 10.0.0.0/-1, '10.0.0.0/-1' is no network",
        "--allow 10.1, '10.1' is no network",
        "--max-clients 7, names no export and count",
        "--max-clients a=0, '0' is no count",
        "--max-clients a=many, 'many' is no count",
    })
    void whatIsNoNetworkOrCountIsRefused(String line, String reason) {
        ParameterException refused = assertThrows(ParameterException.class, () -> arguments(line));

        assertTrue(String.valueOf(refused.getMessage()).contains(reason), refused::toString);
    }
}
