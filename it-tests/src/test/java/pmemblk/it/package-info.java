/**
 * The launcher under test, seen from outside: real clients, the real kernel, signals, kill -9.
 *
 * <p>Nothing of the server runs in this process. A client that is not installed fails its test:
 * {@code it-tests/run-all-tests} installs them all.
 */
@NullMarked
package pmemblk.it;

import org.jspecify.annotations.NullMarked;
