/**
 * The NBD protocol: bytes to values and back.
 *
 * <p>Code points are enums and constants named as in the protocol document (doc/proto.md of
 * NetworkBlockDevice/nbd; on extended headers, that of its branch extension-ext-header), less their
 * prefix; messages are records. Decoders believe no length before they have held it against {@link
 * Limits}. Depends on Netty's buffers and codecs alone, and knows neither exports nor connections.
 */
@NullMarked
package pmemblk.nbd.protocol;

import org.jspecify.annotations.NullMarked;
