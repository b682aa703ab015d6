package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import pmemblk.pool.Damage;
import pmemblk.pool.PoolCheck;

class CheckReportTest {
    private static final Path POOL = Path.of("disk.pool");

    private static final Damage ENTRY =
            new Damage(
                    "map entry",
                    POOL,
                    4711,
                    1,
                    null,
                    7L,
                    "a stored block below 9",
                    "10",
                    false,
                    "the map entry");

    private static final Damage INFO =
            new Damage(
                    "backup info block",
                    POOL,
                    8192,
                    0,
                    null,
                    null,
                    "one like the primary",
                    "\"none\"",
                    true,
                    "the info block");

    private static CheckReport report(boolean aboutRepair, PoolCheck check) {
        return new CheckReport(POOL, check, aboutRepair);
    }

    @Test
    void jsonHasEveryMemberOfEveryDamage() {
        PoolCheck check = new PoolCheck(List.of(ENTRY), 12, List.of(), List.of("a \"note\""));

        assertEquals(
                """
                {
                  "pool": "disk.pool",
                  "consistent": false,
                  "damage": [
                    {
                      "place": "map entry",
                      "file": "disk.pool",
                      "offset": 4711,
                      "arena": 1,
                      "lane": null,
                      "block": 7,
                      "expected": "a stored block below 9",
                      "found": "10",
                      "repairable": false,
                      "message": "the map entry"
                    }
                  ],
                  "unlistedDamageCount": 12,
                  "repaired": [],
                  "notes": [
                    "a \\"note\\""
                  ]
                }
                """,
                report(false, check).json());
    }

    @Test
    void damageIsListedAndCountedWithWhatCanBeDone() {
        PoolCheck check = new PoolCheck(List.of(INFO, ENTRY), 3, List.of(), List.of("a note"));

        assertEquals(
                "the info block\nthe map entry\nand 3 more\nnote: a note\n",
                report(false, check).text());
        assertEquals(
                "disk.pool is damaged in 5 places, listed on standard output; 1 can be repaired for"
                        + " certain: --repair shows how",
                report(false, check).complaint());
        assertTrue(
                report(true, check).text().startsWith("would be repaired: the info block\nthe m"));
        assertTrue(
                String.valueOf(report(true, check).complaint())
                        .endsWith("--repair --apply does, keep a copy before"));
    }

    @Test
    void damageThatIsLeftAfterARepairIsNoneToRepair() {
        PoolCheck check = new PoolCheck(List.of(ENTRY), 0, List.of(INFO), List.of());

        assertEquals("repaired: the info block\nthe map entry\n", report(true, check).text());
        assertTrue(
                String.valueOf(report(true, check).complaint())
                        .contains("none of it can be repaired for certain"));
    }

    @Test
    void aConsistentPoolIsNoReasonToComplain() {
        PoolCheck check = new PoolCheck(List.of(), 0, List.of(), List.of());

        assertEquals("disk.pool: consistent\n", report(false, check).text());
        assertNull(report(false, check).complaint());
    }
}
