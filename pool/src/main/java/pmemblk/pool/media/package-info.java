/**
 * Bytes that can be made durable: a file on persistent memory, on a disk or in memory.
 *
 * <p>A {@link Medium} reads, writes and persists; what it holds is none of its business. {@link
 * Linux} is the only class of the project that calls native code: the JDK offers neither flock(2),
 * which is the lock that PMDK takes, nor I/O that an interrupted thread leaves open for the others.
 * Depends on the JDK alone.
 */
@NullMarked
package pmemblk.pool.media;

import org.jspecify.annotations.NullMarked;
