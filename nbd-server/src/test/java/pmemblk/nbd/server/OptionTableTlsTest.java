package pmemblk.nbd.server;

import org.junit.jupiter.api.extension.ExtendWith;

/** Every option with data of every length, in TLS. */
@ExtendWith(InTls.class)
class OptionTableTlsTest extends OptionTableTest {}
