package pmemblk.pool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sees that the headers of a pool's files are sound and belong together. */
final class PartHeaders {
    private PartHeaders() {}

    /** What is wrong with the header of a part. */
    record Found(int part, PoolHeader.Problem problem) {}

    /**
     * What is wrong with the headers, of each file the first thing; their links are looked at only
     * if each of them is sound by itself.
     */
    static List<Found> problems(PoolParts parts) throws IOException {
        PoolSet set = parts.set();
        boolean singleHeader = set != null && set.singleHeader();
        List<Found> problems = new ArrayList<>();
        List<PoolHeader> headers = new ArrayList<>();
        for (int i = 0; i < (singleHeader ? 1 : parts.parts().size()); i++) {
            PoolHeader.Problem problem = problem(parts, i, headers);
            if (problem != null) {
                problems.add(new Found(i, problem));
            }
        }
        for (int i = 0; i < headers.size() && problems.isEmpty(); i++) {
            PoolHeader.Problem problem = linkProblem(headers, i, singleHeader);
            if (problem != null) {
                problems.add(new Found(i, problem));
            }
        }
        return problems;
    }

    private static PoolHeader.@Nullable Problem problem(
            PoolParts parts, int index, List<PoolHeader> headers) throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment block = parts.readHeader(index, memory);
            PoolHeader.Problem problem = PoolHeader.problem(block);
            if (problem == null && index == 0) {
                problem = PoolHeader.shutdownProblem(block);
            }
            PoolHeader header = PoolHeader.read(block);
            headers.add(header);
            return problem == null && (header.compat() & PoolHeader.CHECK_BAD_BLOCKS) != 0
                    ? badBlocksProblem(parts, index)
                    : problem;
        }
    }

    private static PoolHeader.@Nullable Problem badBlocksProblem(PoolParts parts, int index) {
        Path badBlocks = Path.of("%s_r0_p%d_badblocks.txt".formatted(parts.path(), index));
        return Files.exists(badBlocks)
                ? new PoolHeader.Problem(
                        "compat",
                        "no list of bad blocks",
                        badBlocks.toString(),
                        "%s lists bad blocks; finish their recovery with pmempool"
                                .formatted(badBlocks))
                : null;
    }

    private static PoolHeader.@Nullable Problem linkProblem(
            List<PoolHeader> headers, int index, boolean singleHeader) {
        PoolHeader header = headers.get(index);
        PoolHeader first = headers.getFirst();
        PoolHeader next = headers.get((index + 1) % headers.size());
        PoolHeader previous = headers.get((index + headers.size() - 1) % headers.size());
        if (!header.poolsetUuid().equals(first.poolsetUuid())) {
            return new PoolHeader.Problem(
                    "poolset_uuid",
                    first.poolsetUuid().toString(),
                    header.poolsetUuid().toString(),
                    "it belongs to pool %s, the first part to %s"
                            .formatted(header.poolsetUuid(), first.poolsetUuid()));
        }
        if (header.incompat() != first.incompat() || header.compat() != first.compat()) {
            return new PoolHeader.Problem(
                    "compat",
                    "%#x, %#x".formatted(first.compat(), first.incompat()),
                    "%#x, %#x".formatted(header.compat(), header.incompat()),
                    "its features differ from those of the first part");
        }
        boolean saysSingle = (header.incompat() & PoolHeader.SINGLEHDR) != 0;
        boolean linked =
                saysSingle == singleHeader
                        && header.nextPart().equals(next.uuid())
                        && header.previousPart().equals(previous.uuid())
                        && header.nextReplica().equals(first.uuid())
                        && header.previousReplica().equals(first.uuid());
        return linked
                ? null
                : new PoolHeader.Problem(
                        "prev_part_uuid",
                        "the uuids of its neighbours",
                        "others",
                        "its header names other files as its neighbours: it is a part of a pool"
                                + " set; open the set file, which lists all parts in their order");
    }
}
