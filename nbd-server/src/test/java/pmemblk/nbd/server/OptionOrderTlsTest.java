package pmemblk.nbd.server;

import org.junit.jupiter.api.extension.ExtendWith;

/** Every order of options, in TLS. */
@ExtendWith(InTls.class)
class OptionOrderTlsTest extends OptionOrderTest {}
