package pmemblk.nbd.server;

import org.junit.jupiter.api.extension.ExtendWith;

/** A connection costs the storage nothing before it may use an export, in TLS. */
@ExtendWith(InTls.class)
class PoolAccessTlsTest extends PoolAccessTest {}
