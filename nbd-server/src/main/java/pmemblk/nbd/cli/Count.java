package pmemblk.nbd.cli;

import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Turns text into a number of things: from 1 to a billion less one. */
final class Count implements ITypeConverter<Integer> {
    private static final Pattern FORM = Pattern.compile("0*[1-9]\\d{0,8}");

    @Override
    public Integer convert(String text) {
        return parse(text);
    }

    static int parse(String text) {
        if (!FORM.matcher(text).matches()) {
            throw new TypeConversionException(
                    "'" + text + "' is no count; write a number from 1 to 999999999");
        }
        return Integer.parseInt(text);
    }
}
