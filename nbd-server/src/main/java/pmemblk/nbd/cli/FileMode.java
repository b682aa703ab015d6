package pmemblk.nbd.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Permission bits in octal, as chmod takes them. */
final class FileMode implements ITypeConverter<Integer> {
    /** A disk is its owner's business unless the owner says otherwise. */
    static final int DEFAULT = 0600;

    @Override
    public Integer convert(String text) {
        if (!text.matches("0?[0-7]{3}")) {
            throw new TypeConversionException("'" + text + "' is no mode; write it as 0640");
        }
        return Integer.parseInt(text, 8);
    }
}
