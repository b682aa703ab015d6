package pmemblk.pool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.btt.BttCheck;
import pmemblk.pool.btt.BttSite;
import pmemblk.pool.btt.Flaw;
import pmemblk.pool.btt.Patch;
import pmemblk.pool.media.Medium;
import pmemblk.pool.media.PrivateMedium;

/**
 * One look at all that a pool's metadata say, from the headers to the last map entry.
 *
 * <p>Changes nothing. What it finds comes with the patches that put it right, as far as that is
 * certain:
 *
 * <ul>
 *   <li>the header of a single file, if what the format and the info blocks say of its fields sums
 *       to the checksum that it carries;
 *   <li>the block size in the descriptor, if all info blocks agree on another;
 *   <li>an info block whose other copy is sound;
 *   <li>a swap that the flog records and the map does not show.
 * </ul>
 *
 * <p>Not certain, and so left alone: a flog pair that makes no sense, though one stored block may
 * have no owner, since that may hold a write that the lost pair recorded; map entries that share a
 * block, since the data tell nobody whose they are.
 */
final class CheckRun {
    private final PoolParts parts;
    private final PoolOptions options;
    private final Progress progress;
    private final Medium medium;
    private final List<Damage> damage = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private final List<Patch> patches = new ArrayList<>();
    private long unlistedCount;
    private int unfinishedCount;
    private int heldCount;
    private boolean readOnly;

    private CheckRun(PoolParts parts, PoolOptions options, Progress progress) {
        this.parts = parts;
        this.options = options;
        this.progress = progress;
        this.medium = new PrivateMedium(parts.whole());
    }

    /** Checks a pool whose files are locked. */
    static CheckRun of(PoolParts parts, PoolOptions options, Progress progress) throws IOException {
        CheckRun run = new CheckRun(parts, options, progress);
        try {
            PoolDescriptor.requireRoom(parts.path(), run.medium);
            PoolHeader header = run.checkHeaders();
            if (header != null) {
                run.checkTable(header);
            }
        } catch (CorruptPoolException e) {
            run.damage.add(Damage.ofWhole(parts.path(), String.valueOf(e.getMessage())));
        } catch (InternalError e) {
            throw BlockPool.missingPage(parts.path(), e);
        }
        return run;
    }

    /** What it found, after a repair had put something right and noted something else. */
    PoolCheck result(List<Damage> repaired, List<String> repairNotes) {
        List<String> allNotes = new ArrayList<>(repairNotes);
        allNotes.addAll(notes);
        return new PoolCheck(
                List.copyOf(damage), unlistedCount, List.copyOf(repaired), List.copyOf(allNotes));
    }

    boolean isConsistent() {
        return damage.isEmpty();
    }

    /** How many writes a killed process left behind for the next one to take over. */
    int heldCount() {
        return heldCount;
    }

    /**
     * Puts right what can be, and returns that. The files were opened for writing.
     *
     * @throws ReadOnlyPoolException if the pool has features that only others can change
     */
    List<Damage> repair() throws IOException {
        if (patches.isEmpty()) {
            return List.of();
        }
        if (readOnly) {
            throw new ReadOnlyPoolException(
                    parts.path() + " takes no repair: it has features that are not known here");
        }
        // What a killed process wrote is seen, but not durable: a repair must not build on it.
        parts.whole().persist(0, parts.whole().size());
        for (Patch patch : patches) {
            patch.apply(parts.whole());
        }
        return damage.stream().filter(Damage::repairable).toList();
    }

    /** What {@link #repair} did beside putting damage right. */
    List<String> repairNotes() {
        return unfinishedCount == 0
                ? List.of()
                : List.of("%d interrupted writes were finished".formatted(unfinishedCount));
    }

    /** The header as it is or will be; null if that is not certain, and so nothing behind it. */
    private @Nullable PoolHeader checkHeaders() throws IOException {
        List<PartHeaders.Found> problems = PartHeaders.problems(parts);
        MemorySegment restored = problems.isEmpty() ? null : restoredHeader();
        for (PartHeaders.Found wrong : problems) {
            PoolHeader.Problem problem = wrong.problem();
            PoolParts.Place where =
                    new PoolParts.Place(
                            parts.parts().get(wrong.part()).path(),
                            PoolHeader.offset(problem.field()));
            damage.add(
                    Damage.of(
                            "pool header, " + problem.field(),
                            where,
                            problem.expected(),
                            problem.found(),
                            restored != null));
        }
        if (restored != null) {
            patches.add(new Patch(0, restored));
        } else if (!problems.isEmpty()) {
            notes.add("the rest was not checked, since the header says what belongs to the pool");
            return null;
        }
        checkShutdownState();
        PoolHeader header = restored == null ? parts.header() : PoolHeader.read(restored);
        readOnly = header.isReadOnly();
        return header;
    }

    private void checkShutdownState() throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            if (PoolHeader.hasStrayShutdownState(parts.readHeader(0, memory))) {
                Patch patch = PoolHeader.noShutdownState();
                patches.add(patch);
                damage.add(
                        Damage.of(
                                "pool header, sds",
                                parts.place(patch.offset()),
                                "zeroes, since the pool has no shutdown state",
                                "other bytes",
                                true));
            }
        }
    }

    private @Nullable MemorySegment restoredHeader() throws IOException {
        if (parts.set() != null) {
            return null;
        }
        try (Arena memory = Arena.ofConfined()) {
            BttCheck.Claim claim = BttCheck.claim(medium, BlockPool.TABLE_OFFSET);
            return PoolHeader.restored(
                    parts.readHeader(0, memory), claim == null ? null : claim.parentUuid());
        }
    }

    private void checkTable(PoolHeader header) throws IOException {
        PoolDescriptor descriptor = PoolDescriptor.load(medium);
        BttCheck.Claim claim = BttCheck.claim(medium, BlockPool.TABLE_OFFSET);
        int blockSize =
                claim != null && claim.parentUuid().equals(header.poolsetUuid())
                        ? claim.blockSize()
                        : descriptor.blockSize();
        BttSite site = new BttSite(medium, BlockPool.TABLE_OFFSET, header.poolsetUuid(), blockSize);
        BttCheck table = blockSize < 1 ? null : BttCheck.of(site);
        if (table == null || blockSize != descriptor.blockSize()) {
            checkDescriptor(descriptor, blockSize, table);
        }
        if (table == null) {
            return;
        }
        PoolDescriptor.requireBlockSize(parts.path(), blockSize, options.blockSize());
        try (HeldTableFile held = openHeld(header)) {
            add(
                    table.finish(held == null ? null : held.table(), advancer(table.mapSize())),
                    held == null ? 0 : WriteCacheFile.countLeft(held.cacheFile()));
        }
    }

    private LongConsumer advancer(long total) {
        return byteCount -> progress.advanced(byteCount, total);
    }

    /** Reports a descriptor without a block size, or with another one than the info blocks. */
    private void checkDescriptor(
            PoolDescriptor descriptor, int blockSize, @Nullable BttCheck table) {
        boolean certain = table != null && table.hasInfoBlocks();
        damage.add(
                Damage.of(
                        "descriptor",
                        parts.place(PoolDescriptor.OFFSET),
                        table == null
                                ? "a block size of at least 1"
                                : "block size %d, as the info blocks have it".formatted(blockSize),
                        Integer.toUnsignedString(descriptor.blockSize()),
                        certain));
        if (certain) {
            patches.add(PoolDescriptor.blockSizePatch(blockSize));
        }
    }

    private @Nullable HeldTableFile openHeld(PoolHeader header) throws IOException {
        PoolFiles files =
                new PoolFiles(
                        parts.parts().getFirst().path(),
                        medium,
                        header,
                        parts.fileSize(),
                        false,
                        true);
        try {
            return HeldTableFile.open(parts.path(), files, options);
        } catch (PoolChangedException e) {
            damage.add(Damage.ofWhole(parts.path(), String.valueOf(e.getMessage())));
            return null;
        }
    }

    private void add(BttCheck.Result result, int cachedCount) {
        for (Flaw flaw : result.flaws()) {
            damage.add(Damage.of(flaw, parts.place(flaw.offset())));
            if (flaw.patch() != null) {
                patches.add(flaw.patch());
            }
        }
        unlistedCount = result.unlistedFlawCount();
        notes.addAll(result.notes());
        patches.addAll(result.unfinished());
        unfinishedCount = result.unfinished().size();
        if (unfinishedCount > 0) {
            notes.add(
                    "%d writes were interrupted by a crash; whoever opens the pool finishes them"
                            .formatted(unfinishedCount));
        }
        heldCount = result.heldCount() + cachedCount;
        if (heldCount > 0) {
            notes.add(
                    "%d writes that a killed server replied to wait in %s to be taken over; serve"
                                    .formatted(heldCount, options.heldWritesDirectory())
                            + " the pool before another program opens it, and before a reboot");
        }
    }
}
