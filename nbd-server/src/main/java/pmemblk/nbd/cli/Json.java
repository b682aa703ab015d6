package pmemblk.nbd.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * JSON text of objects, arrays and values; writing what {@code --json} prints takes no library.
 *
 * <p>A {@link Map} is an object, its members in the map's order; a {@link List} is an array;
 * numbers, booleans and null are themselves; all else is the string that it prints as.
 */
final class Json {
    private Json() {}

    /** One value on lines of its own, the last one ended. */
    static String text(Map<String, ?> object) {
        return value(object, "\n") + "\n";
    }

    /**
     * @param lineBreak what begins a line as far in as the value
     */
    private static String value(@Nullable Object value, String lineBreak) {
        return switch (value) {
            case null -> "null";
            case Map<?, ?> object -> object(object, lineBreak);
            case List<?> array -> array(array, lineBreak);
            case Number number -> number.toString();
            case Boolean truth -> truth.toString();
            default -> quote(value.toString());
        };
    }

    private static String object(Map<?, ?> object, String lineBreak) {
        String inner = lineBreak + "  ";
        List<String> members = new ArrayList<>();
        object.forEach(
                (name, value) ->
                        members.add(quote(String.valueOf(name)) + ": " + value(value, inner)));
        return enclosed("{", members, "}", lineBreak);
    }

    private static String array(List<?> array, String lineBreak) {
        String inner = lineBreak + "  ";
        return enclosed(
                "[", array.stream().map(value -> value(value, inner)).toList(), "]", lineBreak);
    }

    private static String enclosed(String begin, List<String> parts, String end, String lineBreak) {
        String inner = lineBreak + "  ";
        return parts.isEmpty()
                ? begin + end
                : begin + inner + String.join("," + inner, parts) + lineBreak + end;
    }

    private static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
