package pmemblk.nbd.cli;

import java.nio.file.Path;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A pool to serve, written {@code [NAME=]POOL}.
 *
 * @param exportName the file's name without its extension, unless another was given
 */
record PoolArgument(String exportName, Path pool) {
    /** A path that holds an equals sign is written with a slash before it, as in ./a=b.pool. */
    static PoolArgument parse(String text) {
        int equals = text.indexOf('=');
        if (equals < 0 || text.lastIndexOf('/', equals) >= 0) {
            Path pool = path(text);
            return new PoolArgument(defaultName(pool), pool);
        }
        if (equals == 0) {
            throw new TypeConversionException(
                    "'" + text + "' names the export with nothing; write NAME=POOL or POOL");
        }
        return new PoolArgument(text.substring(0, equals), path(text.substring(equals + 1)));
    }

    /** The export name of a pool that was given none. */
    static String defaultName(Path pool) {
        Path file = pool.getFileName();
        String name = file == null ? pool.toString() : file.toString();
        int dot = name.lastIndexOf('.');
        return dot > 0 ? name.substring(0, dot) : name;
    }

    private static Path path(String text) {
        if (text.isEmpty()) {
            throw new TypeConversionException("the path of a pool is empty; write [NAME=]POOL");
        }
        return Path.of(text);
    }

    static final class Converter implements ITypeConverter<PoolArgument> {
        @Override
        public PoolArgument convert(String text) {
            return parse(text);
        }
    }
}
