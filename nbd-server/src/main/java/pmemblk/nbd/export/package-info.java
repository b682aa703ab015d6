/**
 * The seam between network and storage: what a server can serve.
 *
 * <p>An {@link Export} is all that the server sees of storage, in blocking calls on byte buffers;
 * {@link PoolExport} makes one of a pool. Knows neither Netty nor the protocol.
 */
@NullMarked
package pmemblk.nbd.export;

import org.jspecify.annotations.NullMarked;
