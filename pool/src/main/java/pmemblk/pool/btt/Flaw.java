package pmemblk.pool.btt;

import org.jspecify.annotations.Nullable;

/**
 * One thing that is wrong with a table.
 *
 * @param place what it is, such as a map entry
 * @param lane whose flog it is; null if it is no lane's
 * @param block whose map entry it is, counted over all arenas; null if it is no block's
 * @param offset where it lies on the medium, in bytes
 * @param patch what puts it right for certain; null if that would be a guess
 */
public record Flaw(
        String place,
        int arena,
        @Nullable Integer lane,
        @Nullable Long block,
        long offset,
        String expected,
        String found,
        @Nullable Patch patch) {

    static Flaw ofArena(
            String place,
            int arena,
            long offset,
            String expected,
            String found,
            @Nullable Patch patch) {
        return new Flaw(place, arena, null, null, offset, expected, found, patch);
    }

    static Flaw ofLane(
            String place, int arena, int lane, long offset, String expected, String found) {
        return new Flaw(place, arena, lane, null, offset, expected, found, null);
    }

    /** What is wrong in one line, with the offset on the medium. */
    String text() {
        return text(offset);
    }

    /** What is wrong in one line, with the offset in a file of which the medium is a part. */
    public String text(long shownOffset) {
        return "arena %d%s%s, %s at offset %#x: expected %s, found %s"
                .formatted(
                        arena,
                        lane == null ? "" : ", lane " + lane,
                        block == null ? "" : ", block " + block,
                        place,
                        shownOffset,
                        expected,
                        found);
    }
}
