package pmemblk.nbd.cli;

import java.net.InetSocketAddress;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Turns {@code HOST:PORT} or {@code [IPV6]:PORT} into an address; port 0 stands for a free one. */
final class ListenAddress implements ITypeConverter<InetSocketAddress> {
    private static final Pattern FORM =
            Pattern.compile("(?:\\[([^\\[\\]]+)\\]|([^:\\[\\]]+)):(\\d{1,5})");

    @Override
    public InetSocketAddress convert(String text) {
        Matcher form = FORM.matcher(text);
        if (!form.matches() || Integer.parseInt(form.group(3)) > 65535) {
            throw new TypeConversionException(
                    "'"
                            + text
                            + "' is no HOST:PORT; write 127.0.0.1:10809 or [::1]:10809, port 0 for a free one");
        }
        String host = form.group(1) == null ? form.group(2) : form.group(1);
        InetSocketAddress address = new InetSocketAddress(host, Integer.parseInt(form.group(3)));
        if (address.isUnresolved()) {
            throw new TypeConversionException(
                    "'" + host + "' is unknown here; give an address of this machine");
        }
        return address;
    }
}
