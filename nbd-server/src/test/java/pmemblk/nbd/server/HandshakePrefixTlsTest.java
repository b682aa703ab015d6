package pmemblk.nbd.server;

import org.junit.jupiter.api.extension.ExtendWith;

/** What real clients say, cut off anywhere, in TLS. */
@ExtendWith(InTls.class)
class HandshakePrefixTlsTest extends HandshakePrefixTest {}
