package pmemblk.nbd.cli;

import java.net.Inet6Address;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Addresses of exports, as the NBD project's uri.md and RFC 3986 have them. */
final class NbdUri {
    private static final String PLAIN =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

    private NbdUri() {}

    static String tcp(InetSocketAddress address, String exportName) {
        String host = address.getAddress().getHostAddress();
        if (address.getAddress() instanceof Inet6Address) {
            // RFC 6874: the percent sign before a zone is itself escaped.
            host = "[" + host.replace("%", "%25") + "]";
        }
        return "nbd://" + host + ":" + address.getPort() + "/" + encode(exportName);
    }

    /** The path becomes absolute, so that the address holds in any directory. */
    static String unix(Path socket, String exportName) {
        String path = socket.toAbsolutePath().normalize().toString();
        return "nbd+unix:///" + encode(exportName) + "?socket=" + encode(path);
    }

    /** The same address for a client that insists on TLS. */
    static String withTls(String uri) {
        return "nbds" + uri.substring("nbd".length());
    }

    private static String encode(String text) {
        StringBuilder encoded = new StringBuilder();
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            if (PLAIN.indexOf(b) >= 0) {
                encoded.append((char) b);
            } else {
                encoded.append(String.format("%%%02X", b));
            }
        }
        return encoded.toString();
    }
}
