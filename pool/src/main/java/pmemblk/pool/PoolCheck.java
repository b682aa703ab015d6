package pmemblk.pool;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What a check of a pool found, or a repair left.
 *
 * @param damage what is wrong, the first hundred things
 * @param unlistedDamageCount how many more there are of their kind
 * @param repaired what was wrong before the repair, and no longer is
 * @param notes what is no damage and worth knowing, a sentence each
 */
public record PoolCheck(
        List<Damage> damage, long unlistedDamageCount, List<Damage> repaired, List<String> notes) {

    public boolean isConsistent() {
        return damage.isEmpty();
    }

    /**
     * Checks a pool that is not open, without changing it.
     *
     * @param options the block size that it must have, and where a killed server may have left held
     *     writes
     * @throws PoolException if it could not be checked: absent, in use, or of another block size
     */
    public static PoolCheck run(Path path, PoolOptions options, Progress progress)
            throws IOException {
        try (PoolParts parts = PoolParts.open(path, true)) {
            return CheckRun.of(parts, options, progress).result(List.of(), List.of());
        } catch (CorruptPoolException e) {
            return ofNoPool(path, e);
        }
    }

    /**
     * Checks a pool that is not open, puts right what is certain and nothing else, and checks it
     * again. If it is consistent then, writes that a killed server held are taken over.
     *
     * @param options as for {@link #run}
     * @return what is still wrong, and what was repaired
     * @throws PoolException if it could not be checked
     */
    public static PoolCheck repair(Path path, PoolOptions options, Progress progress)
            throws IOException {
        PoolParts parts;
        try {
            parts = PoolParts.open(path, false);
        } catch (CorruptPoolException e) {
            return ofNoPool(path, e);
        }
        boolean handedOver = false;
        try {
            CheckRun before = CheckRun.of(parts, options, progress);
            List<Damage> repaired = before.repair();
            CheckRun after = CheckRun.of(parts, options, Progress.NONE);
            List<String> notes = new ArrayList<>(before.repairNotes());
            if (after.isConsistent() && after.heldCount() > 0) {
                handedOver = true;
                BlockPool.opened(path, PoolFiles.of(parts, false), options).close();
                notes.add(
                        "%d writes that a killed server replied to were taken over"
                                .formatted(after.heldCount()));
                return new PoolCheck(List.of(), 0, repaired, List.copyOf(notes));
            }
            return after.result(repaired, notes);
        } finally {
            if (!handedOver) {
                parts.close();
            }
        }
    }

    private static PoolCheck ofNoPool(Path path, CorruptPoolException e) {
        Damage whole = Damage.ofWhole(path, String.valueOf(e.getMessage()));
        return new PoolCheck(List.of(whole), 0, List.of(), List.of());
    }
}
