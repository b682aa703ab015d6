package pmemblk.nbd.server;

import org.junit.jupiter.api.extension.ExtendWith;

/** A stop in the midst of clients of every kind, in TLS. */
@ExtendWith(InTls.class)
class StrayClientsTlsTest extends StrayClientsTest {}
