package pmemblk.nbd.server;

import java.util.List;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.extension.ExtendWith;

/** Every order of options in which TLS begins somewhere: what was agreed before is forgotten. */
@ExtendWith(InTls.class)
class OptionOrderStartTlsTest extends OptionOrderTest {
    private static @Nullable SSLContext upgrade;

    @BeforeAll
    static void clientsBeginTlsLater() {
        upgrade = RawClient.tls;
        RawClient.tls = null;
    }

    @Override
    @Nullable SSLContext upgrade() {
        return upgrade;
    }

    @Override
    boolean isWanted(List<Integer> order) {
        return order.contains(STARTTLS);
    }
}
