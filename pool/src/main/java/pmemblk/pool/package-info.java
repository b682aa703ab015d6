/**
 * pmemblk pools: arrays of blocks in a file, each block written atomically.
 *
 * <p>{@link BlockPool} makes and opens pools, and reads and writes their blocks; {@link PoolCheck}
 * checks and repairs those that are not open, {@link PoolGrowth} makes them larger. What other
 * modules may import is here; the translation table behind it is in {@code pmemblk.pool.btt}, the
 * media below that in {@code pmemblk.pool.media}, and they know nothing of this package: their
 * failures are turned into a {@link PoolException} here, where the file's name is known. Depends on
 * the JDK and SLF4J.
 */
@NullMarked
package pmemblk.pool;

import org.jspecify.annotations.NullMarked;
