package pmemblk.pool;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A pool set file: a text that names the part files which make up one pool.
 *
 * <p>The syntax is PMDK's, poolset(5). Replicas, directories and device DAX are refused by name.
 *
 * @param singleHeader whether only the first part has a header
 */
record PoolSet(boolean singleHeader, List<Part> parts) {
    static final String SIGNATURE = "PMEMPOOLSET";

    private static final Pattern LINE_END = Pattern.compile("\r?\n");
    private static final Pattern SINGLE_HEADER =
            Pattern.compile("OPTION[ \t]*SINGLEHDR([ \t]+SINGLEHDR)*[ \t]*");
    private static final Pattern REPLICA = Pattern.compile("REPLICA([ \t].*)?");
    private static final Pattern AUTO = Pattern.compile("[ \t]*AUTO[ \t].*");
    private static final Pattern PART = Pattern.compile("[ \t]*([^ \t]+)[ \t]+(/[^ \t]*)[ \t]*");
    private static final Pattern SIZE = Pattern.compile("\\+?(\\d{1,18})([A-Za-z]*)");

    private static final Map<String, Long> UNITS =
            Map.ofEntries(
                    Map.entry("", 1L),
                    Map.entry("B", 1L),
                    Map.entry("K", 1L << 10),
                    Map.entry("KiB", 1L << 10),
                    Map.entry("kB", 1000L),
                    Map.entry("M", 1L << 20),
                    Map.entry("MiB", 1L << 20),
                    Map.entry("MB", 1_000_000L),
                    Map.entry("G", 1L << 30),
                    Map.entry("GiB", 1L << 30),
                    Map.entry("GB", 1_000_000_000L),
                    Map.entry("T", 1L << 40),
                    Map.entry("TiB", 1L << 40),
                    Map.entry("TB", 1_000_000_000_000L),
                    Map.entry("P", 1L << 50),
                    Map.entry("PiB", 1L << 50),
                    Map.entry("PB", 1_000_000_000_000_000L));

    /** A part: the file and the size in bytes that it has to have. */
    record Part(Path path, long size) {}

    /**
     * Reads the text of a pool set file.
     *
     * @throws CorruptPoolException if it is not one
     * @throws UnsupportedPoolException if it uses what is not supported here
     */
    static PoolSet parse(Path path, String text) throws PoolException {
        String[] lines = LINE_END.split(text, -1);
        if (lines.length < 2 || !lines[0].equals(SIGNATURE)) {
            throw new CorruptPoolException(path + ": the first line is not exactly " + SIGNATURE);
        }
        boolean singleHeader = false;
        List<Part> parts = new ArrayList<>();
        for (int i = 1; i < lines.length; i++) {
            if (lines[i].isEmpty() || lines[i].startsWith("#")) {
                continue;
            }
            String content = lines[i].split("#", 2)[0];
            String place = "%s, line %d: ".formatted(path, i + 1);
            if (SINGLE_HEADER.matcher(content).matches()) {
                singleHeader = true;
                continue;
            }
            String unsupported = unsupported(content);
            if (unsupported != null) {
                throw new UnsupportedPoolException(place + unsupported);
            }
            String problem = parsePart(content, parts);
            if (problem != null) {
                throw new CorruptPoolException(place + problem);
            }
        }
        if (parts.isEmpty()) {
            throw new CorruptPoolException(path + ": the pool set names no parts");
        }
        return new PoolSet(singleHeader, List.copyOf(parts));
    }

    /** Keywords start their lines: PMDK takes a line that starts with a blank for a part. */
    private static @Nullable String unsupported(String content) {
        if (REPLICA.matcher(content).matches()) {
            return "replicas are not supported, by libpmemblk neither";
        }
        if (content.startsWith("OPTION")) {
            return "the option '%s' is not supported".formatted(content.strip());
        }
        return AUTO.matcher(content).matches()
                ? "the size AUTO is for device DAX, which is not supported"
                : null;
    }

    private static @Nullable String parsePart(String content, List<Part> parts) {
        Matcher line = PART.matcher(content);
        if (!line.matches()) {
            return "expected a size and an absolute path, found '%s'".formatted(content);
        }
        long size = parseSize(line.group(1));
        if (size <= 0) {
            return "expected a size such as 10M, found '%s'".formatted(line.group(1));
        }
        try {
            parts.add(new Part(Path.of(line.group(2)), size));
            return null;
        } catch (InvalidPathException e) {
            return "expected a path, found '%s': %s".formatted(line.group(2), e.getReason());
        }
    }

    private static long parseSize(String text) {
        Matcher size = SIZE.matcher(text);
        Long unit = size.matches() ? UNITS.get(size.group(2)) : null;
        if (unit == null) {
            return -1;
        }
        long number = Long.parseLong(size.group(1));
        return Math.multiplyHigh(number, unit) == 0 ? number * unit : -1;
    }
}
