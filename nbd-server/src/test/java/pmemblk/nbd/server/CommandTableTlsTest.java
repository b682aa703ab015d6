package pmemblk.nbd.server;

import org.junit.jupiter.api.extension.ExtendWith;

/** Every command with every flag, in TLS. */
@ExtendWith(InTls.class)
class CommandTableTlsTest extends CommandTableTest {}
