/**
 * The block translation table: turns a range of bytes into an array of blocks that never tear.
 *
 * <p>A write fills a free block, logs the swap in the flog, then points the map entry at the new
 * block. Whenever power fails, recovery finds the old block or the new one. Knows nothing of files,
 * exports or sockets; depends on {@code pmemblk.pool.media}.
 *
 * <p>The format is that of PMDK's libpmemblk 1.x, bit for bit. Four things are done otherwise than
 * there, none of them visible in the file: readers need no lane, since they announce themselves in
 * {@link ReadTracking} by one compare-and-set; the layout is written when a pool is made or opened,
 * not at its first write; on ordinary files, blocks that read as zeroes are written where they are,
 * without a flog entry; and a damaged first info block is replaced by its backup, where libpmemblk
 * takes the pool for an empty one.
 *
 * <p>Before the table of an ordinary file there may be a {@link WriteCache}. The format has 256
 * free blocks, so that many writes at most can wait for a flush in the file itself, and clients
 * that do not flush would be held to the speed of the disk, where other servers write to the page
 * cache. The cache is kept out of the table: what is proved of that, a kill and a power cut at
 * every store, holds whatever comes before it, and of the cache there is a kill to consider only.
 *
 * <p>Each write moves its block, so random ones scatter a pool for good, and large requests take up
 * to twice as long in memory, more on a disk. A {@link Defragmentation} therefore moves blocks
 * back, by writes like any other.
 */
@NullMarked
package pmemblk.pool.btt;

import org.jspecify.annotations.NullMarked;
