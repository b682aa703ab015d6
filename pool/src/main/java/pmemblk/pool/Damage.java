package pmemblk.pool;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.btt.Flaw;

/**
 * One thing that is wrong with a pool.
 *
 * @param place what it is: the pool, its header, an info block, a flog pair, a map entry …
 * @param file where it lies; of a pool set, the part
 * @param offset where in that file, in bytes
 * @param arena which arena it belongs to, from 0; null if to none
 * @param lane which lane, from 0; null if none
 * @param block which block, as numbered in the pool; null if none
 * @param repairable whether a repair puts it right, which is done only where that is certain
 * @param message all that in one line
 */
public record Damage(
        String place,
        Path file,
        long offset,
        @Nullable Integer arena,
        @Nullable Integer lane,
        @Nullable Long block,
        String expected,
        String found,
        boolean repairable,
        String message) {

    /** Damage outside the table. */
    static Damage of(
            String place,
            PoolParts.Place where,
            String expected,
            String found,
            boolean repairable) {
        String message =
                "%s: %s at offset %#x: expected %s, found %s"
                        .formatted(where.file(), place, where.offset(), expected, found);
        return new Damage(
                place,
                where.file(),
                where.offset(),
                null,
                null,
                null,
                expected,
                found,
                repairable,
                message);
    }

    /** What makes a pool one that cannot be opened, as a failure to open it says. */
    static Damage ofWhole(Path path, String message) {
        return new Damage(
                "pool",
                path,
                0,
                null,
                null,
                null,
                "a pool that can be opened",
                "another file",
                false,
                message);
    }

    static Damage of(Flaw flaw, PoolParts.Place where) {
        return new Damage(
                flaw.place(),
                where.file(),
                where.offset(),
                flaw.arena(),
                flaw.lane(),
                flaw.block(),
                flaw.expected(),
                flaw.found(),
                flaw.patch() != null,
                "%s: %s".formatted(where.file(), flaw.text(where.offset())));
    }
}
