package pmemblk.nbd.cli;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;
import pmemblk.pool.Damage;
import pmemblk.pool.PoolCheck;

/**
 * What {@code check} prints.
 *
 * @param aboutRepair whether a repair was asked for, be it that it was only to be shown
 */
record CheckReport(Path pool, PoolCheck check, boolean aboutRepair) {
    String text() {
        StringJoiner lines = new StringJoiner("\n", "", "\n");
        for (Damage damage : check.repaired()) {
            lines.add("repaired: " + damage.message());
        }
        for (Damage damage : check.damage()) {
            boolean would = aboutRepair && damage.repairable();
            lines.add((would ? "would be repaired: " : "") + damage.message());
        }
        if (check.unlistedDamageCount() > 0) {
            lines.add("and " + check.unlistedDamageCount() + " more");
        }
        for (String note : check.notes()) {
            lines.add("note: " + note);
        }
        if (check.isConsistent()) {
            lines.add(pool + ": consistent");
        }
        return lines.toString();
    }

    String json() {
        SequencedMap<String, Object> members = new LinkedHashMap<>();
        members.put("pool", pool);
        members.put("consistent", check.isConsistent());
        members.put("damage", list(check.damage()));
        members.put("unlistedDamageCount", check.unlistedDamageCount());
        members.put("repaired", list(check.repaired()));
        members.put("notes", check.notes());
        return Json.text(members);
    }

    private static List<SequencedMap<String, @Nullable Object>> list(List<Damage> damage) {
        return damage.stream().map(CheckReport::members).toList();
    }

    private static SequencedMap<String, @Nullable Object> members(Damage damage) {
        SequencedMap<String, @Nullable Object> members = new LinkedHashMap<>();
        members.put("place", damage.place());
        members.put("file", damage.file());
        members.put("offset", damage.offset());
        members.put("arena", damage.arena());
        members.put("lane", damage.lane());
        members.put("block", damage.block());
        members.put("expected", damage.expected());
        members.put("found", damage.found());
        members.put("repairable", damage.repairable());
        members.put("message", damage.message());
        return members;
    }

    /** What to tell a user whose pool is damaged, or null. */
    @Nullable String complaint() {
        if (check.isConsistent()) {
            return null;
        }
        long count = check.damage().size() + check.unlistedDamageCount();
        long repairable = check.damage().stream().filter(Damage::repairable).count();
        String advice =
                repairable == 0
                        ? "none of it can be repaired for certain: keep a copy, then put a backup in"
                                + " its place or let pmempool check -r guess"
                        : "%d can be repaired for certain: %s"
                                .formatted(
                                        repairable,
                                        aboutRepair
                                                ? "--repair --apply does, keep a copy before"
                                                : "--repair shows how");
        return "%s is damaged in %d places, listed on standard output; %s"
                .formatted(pool, count, advice);
    }
}
