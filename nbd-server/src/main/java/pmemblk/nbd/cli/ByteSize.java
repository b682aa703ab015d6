package pmemblk.nbd.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Sizes as people write and read them: 512, 4K, 10GiB; all units are powers of 1024. */
final class ByteSize {
    private static final String UNITS = "KMGT";
    private static final Pattern FORM =
            Pattern.compile("(\\d+)(?:([KMGT])(?:iB)?)?", Pattern.CASE_INSENSITIVE);

    private ByteSize() {}

    /**
     * Bytes that the text stands for, at least 1.
     *
     * @throws TypeConversionException if it is no size, or none that fits a {@code long}
     */
    static long parse(String text) {
        Matcher form = FORM.matcher(text);
        if (!form.matches()) {
            throw new TypeConversionException(
                    "'" + text + "' is no size; write bytes, or a number with K, M, G or T");
        }
        String unit = form.group(2);
        int power = unit == null ? 0 : UNITS.indexOf(unit.toUpperCase(Locale.ROOT)) + 1;
        long bytes;
        try {
            bytes = Math.multiplyExact(Long.parseLong(form.group(1)), unitSize(power));
        } catch (ArithmeticException | NumberFormatException tooLarge) {
            throw new TypeConversionException("'" + text + "' is too large; 8388607T is the most");
        }
        if (bytes == 0) {
            throw new TypeConversionException("'" + text + "' is too small; write at least 1");
        }
        return bytes;
    }

    /** The same for a block size, which fits an {@code int}. */
    static int parseBlockSize(String text) {
        long bytes = parse(text);
        if (bytes > Integer.MAX_VALUE) {
            throw new TypeConversionException("'" + text + "' is too large for a block; try 4096");
        }
        return (int) bytes;
    }

    /** For people: the exact number in the largest unit, or one decimal, and the bytes. */
    static String format(long bytes) {
        int power = 0;
        while (power < UNITS.length() && bytes >= unitSize(power + 1)) {
            power++;
        }
        if (power == 0) {
            return bytes + " bytes";
        }
        String number =
                bytes % unitSize(power) == 0
                        ? Long.toString(bytes / unitSize(power))
                        : String.format(Locale.ROOT, "%.1f", (double) bytes / unitSize(power));
        return number + " " + UNITS.charAt(power - 1) + "iB (" + bytes + " bytes)";
    }

    private static long unitSize(int power) {
        return 1L << (10 * power);
    }

    static final class Converter implements ITypeConverter<Long> {
        @Override
        public Long convert(String text) {
            return parse(text);
        }
    }

    static final class BlockSizeConverter implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String text) {
            return parseBlockSize(text);
        }
    }
}
