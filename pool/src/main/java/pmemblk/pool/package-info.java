@NullMarked
package pmemblk.pool;

import org.jspecify.annotations.NullMarked;
