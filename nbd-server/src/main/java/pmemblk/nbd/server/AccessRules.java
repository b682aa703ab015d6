package pmemblk.nbd.server;

import io.netty.handler.ipfilter.IpFilterRuleType;
import io.netty.handler.ipfilter.IpSubnetFilterRule;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Who may connect, from where, and how often.
 *
 * @param networks of TCP clients; if there are none, all are. Unix sockets have permissions instead
 * @param exportNetworks those of an export, by its name, beside {@code networks}
 * @param maxConnections to an export at the same time, by its name
 */
public record AccessRules(
        List<IpSubnetFilterRule> networks,
        Map<String, List<IpSubnetFilterRule>> exportNetworks,
        Map<String, Integer> maxConnections) {

    /** Java takes 10.1 for 10.0.0.1, which who writes 10.1/16 does not mean. */
    private static final Pattern NETWORK =
            Pattern.compile("(\\d+\\.\\d+\\.\\d+\\.\\d+|[^/]*:[^/]*)(?:/(\\d{1,3}))?");

    /** Everybody may. */
    public static final AccessRules NONE = new AccessRules(List.of(), Map.of(), Map.of());

    /**
     * The network that an address, or an address with the length of a prefix behind a slash, stands
     * for.
     *
     * @throws IllegalArgumentException if the text is neither
     */
    public static IpSubnetFilterRule network(String text) {
        Matcher form = NETWORK.matcher(text);
        if (!form.matches()) {
            throw new IllegalArgumentException(text);
        }
        InetAddress address = InetAddress.ofLiteral(form.group(1));
        int length =
                form.group(2) == null
                        ? Byte.SIZE * address.getAddress().length
                        : Integer.parseInt(form.group(2));
        return new IpSubnetFilterRule(address, length, IpFilterRuleType.ACCEPT);
    }

    /** Whether a client may connect at all. */
    boolean admits(SocketAddress client) {
        return contain(networks, client);
    }

    /** Whether a client that may connect may use this export. */
    boolean admits(SocketAddress client, String exportName) {
        return contain(exportNetworks.getOrDefault(exportName, List.of()), client);
    }

    private static boolean contain(List<IpSubnetFilterRule> networks, SocketAddress client) {
        return networks.isEmpty()
                || !(client instanceof InetSocketAddress tcp)
                || networks.stream().anyMatch(network -> network.matches(tcp));
    }
}
