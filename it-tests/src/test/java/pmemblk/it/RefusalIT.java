package pmemblk.it;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a user reads when something cannot be done. */
class RefusalIT {
    @TempDir(factory = Place.Tmpfs.class)
    private static Path directory = Path.of("");

    @BeforeAll
    static void makeWhatIsInTheWay() throws Exception {
        Pools.create(directory, "there.pool", 4096);
        Pools.randomFile(directory.resolve("junk"), 20 << 20);
        Files.write(directory.resolve("short"), new byte[5000]);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "create --size 32M there.pool              | there.pool exists",
                "create --size 32M .                       | . exists",
                "create --size 1M new.pool                 | too small",
                "create --size 17M --block-size 64K new.pool | too small",
                "create --size 32M absent/new.pool         | the directory of absent/new.pool does not exist",
                "create --size 8000000T new.pool           | new.pool",
                "info absent.pool                          | absent.pool does not exist",
                "info .                                    | . is a directory",
                "info junk                                 | junk",
                "info short                                | short has",
                "check absent.pool                         | absent.pool does not exist",
                "check --block-size 512 there.pool         | there.pool has blocks of 4096 bytes",
                "check .                                   | . is a directory",
                "check --repair --apply absent.pool        | absent.pool does not exist",
                "grow --size 32M absent.pool               | absent.pool does not exist",
                "grow --size 17M there.pool                | there.pool has 4082 blocks",
                "grow --size 1M there.pool                 | too small",
                "grow --size 8000000T there.pool           | room for the new pool",
                "grow --size 32M junk                      | junk",
                "block read absent.pool 0                  | absent.pool does not exist",
                "block read there.pool 1000000             | there.pool has no block 1000000",
                "block zero there.pool -- -1               | there.pool has no block -1",
                "block write there.pool 0                  | standard input is empty",
                "serve absent.pool                         | absent.pool does not exist",
                "serve junk                                | junk",
                "serve there.pool ./there.pool             | two exports are named 'there'",
                "serve there.pool again=there.pool         | there.pool is in use",
                "serve --create 1M new.pool                | too small",
                "serve --read-only --create 32M new.pool   | exclude each other",
                "serve --tls require there.pool            | TLS needs --tls-certificates",
                "serve --tls-certificates absent there.pool | absent/server-cert.pem: does not exist",
                "serve --listen 203.0.113.1:0 there.pool   | 203.0.113.1:0: Cannot assign requested address; use an address of this machine",
                "serve --unix absent/nbd.sock there.pool   | absent/nbd.sock: No such file or directory; use a path in a folder",
                "serve --create 32M --block-size 512 there.pool | there.pool has blocks of 4096 bytes",
                "serve --durability never there.pool       | expected on-flush or every-write",
                "serve --defragment always there.pool      | expected memory, all or off",
                "serve --max-connections 0 there.pool      | '0' is no count",
                "serve --max-handshakes x there.pool       | 'x' is no count",
                "serve --max-requests 0 there.pool         | '0' is no count",
                "serve --max-option-bytes 4K there.pool    | give 8K to 16M",
                "serve --max-bytes 1M there.pool           | does not hold the longest request",
                "serve --handshake-timeout 5y there.pool   | '5y' is no time",
                "serve --stall-timeout -1s there.pool      | '-1s' is no time",
                "serve --poll -1 there.pool                | microseconds from 0 to 999999",
                "serve --read-only-export other there.pool | --read-only-export other: no export",
                "serve --allow 300.1.1.1/8 there.pool      | '300.1.1.1/8' is no network",
                "serve --allow other=::1 there.pool        | the exports are there",
                "serve --max-clients other=3 there.pool    | the exports are there",
                "serve --max-clients there=0 there.pool    | '0' is no count",
            })
    void whatCannotBeDoneIsOneLineAndStatus2(String words, String reason) throws Exception {
        String name = words.replaceFirst("(block \\w+|\\w+) .*", "$1");

        Command.Outcome refused = Command.pmemblkNbd(words).in(directory).end(2);

        refused.assertOneLine(name, reason);
        assertFalse(Files.exists(directory.resolve("new.pool")));
    }
}
