package pmemblk.nbd.tls;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.util.IPAddress;

/** A new certificate folder: of an authority, a server and a client. */
public final class CertificateSet {
    /** The common name of the client. */
    public static final String CLIENT = "client";

    private static final String LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

    /** RFC 1123, section 2.1; all digits would be an address that is none. */
    private static final Pattern DNS_NAME =
            Pattern.compile("(?![0-9.]+$)" + LABEL + "(\\." + LABEL + ")*");

    private CertificateSet() {}

    /** Whether this is a name or an address that a server's certificate can be for. */
    public static boolean isHost(String text) {
        return IPAddress.isValid(text) || DNS_NAME.matcher(text).matches();
    }

    /**
     * Makes a set in a folder, which is made, too, if it is absent. Private keys are for the owner
     * alone.
     *
     * @param hosts {@linkplain #isHost names and addresses} that clients know the server by, at
     *     least one
     * @throws IOException if one of the files exists, or cannot be written
     */
    public static void make(Path folder, List<String> hosts) throws IOException {
        for (CertificateFile file : CertificateFile.values()) {
            if (Files.exists(file.in(folder), LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(
                        file.in(folder) + " exists; use another folder, or move it away");
            }
        }
        Files.createDirectories(folder);
        for (var fileAndText : newSet(hosts).entrySet()) {
            write(fileAndText.getKey().in(folder), fileAndText.getValue());
        }
    }

    private static Map<CertificateFile, Object> newSet(List<String> hosts) throws IOException {
        try {
            CertificateAuthority authority =
                    new CertificateAuthority("pmemblk-nbd of " + hosts.getFirst());
            CertificateAuthority.Identity server = authority.server(hosts);
            CertificateAuthority.Identity client = authority.client(CLIENT);
            Map<CertificateFile, Object> set = new EnumMap<>(CertificateFile.class);
            set.put(CertificateFile.CA_CERT, authority.own().certificate());
            set.put(CertificateFile.CA_KEY, authority.own().key());
            set.put(CertificateFile.SERVER_CERT, server.certificate());
            set.put(CertificateFile.SERVER_KEY, server.key());
            set.put(CertificateFile.CLIENT_CERT, client.certificate());
            set.put(CertificateFile.CLIENT_KEY, client.key());
            return set;
        } catch (GeneralSecurityException e) {
            throw new IOException("this Java makes no certificates: " + e, e);
        }
    }

    private static void write(Path file, Object object) throws IOException {
        boolean secret = object instanceof PrivateKey;
        var mode = PosixFilePermissions.fromString(secret ? "rw-------" : "rw-r--r--");
        try (SeekableByteChannel out =
                Files.newByteChannel(
                        file,
                        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                        PosixFilePermissions.asFileAttribute(mode))) {
            ByteBuffer text = US_ASCII.encode(pem(object));
            while (text.hasRemaining()) {
                out.write(text);
            }
        }
    }

    private static String pem(Object object) throws IOException {
        StringWriter text = new StringWriter();
        try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
            writer.writeObject(
                    object instanceof PrivateKey key ? new JcaPKCS8Generator(key, null) : object);
        }
        return text.toString();
    }
}
