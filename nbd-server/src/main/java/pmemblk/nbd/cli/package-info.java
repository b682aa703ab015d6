/**
 * The command line: makes, serves, shows and checks pools, and makes certificates.
 *
 * <p>The only package that knows all others, Logback and the process it runs in (standard streams,
 * signals, exit status). What a user reads is one line that says what went wrong, where, and what
 * to do about it.
 */
@NullMarked
package pmemblk.nbd.cli;

import org.jspecify.annotations.NullMarked;
