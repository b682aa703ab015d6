/**
 * The server: listeners, the handshake and the transmission phase of each connection, and stopping.
 *
 * <p>A connection belongs to one event loop, which runs its handlers; requests that may take long
 * are done by the I/O threads, which hand their replies back to it. What comes in is parsed as far
 * as it goes and answered with one write to the socket: system calls, not bytes, are what small
 * requests cost. Long writes are carried out block by block as they come, where that takes no
 * waiting: their clients send on meanwhile, and the bytes are still in the processor's cache.
 * Depends on {@code protocol}, {@code export} and {@code tls}, and on Netty.
 */
@NullMarked
package pmemblk.nbd.server;

import org.jspecify.annotations.NullMarked;
