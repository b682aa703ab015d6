/**
 * TLS for a server: the folder of X.509 certificates that nbdkit, qemu and libnbd agree on, read
 * and read again when it changes, or made.
 *
 * <p>Knows certificates and Netty's TLS, and nothing of NBD: when TLS begins and what a client may
 * ask for before is the business of {@code server}.
 */
@NullMarked
package pmemblk.nbd.tls;

import org.jspecify.annotations.NullMarked;
