package pmemblk.pool.btt;

/** Gets the states of blocks, those that are alike in a row together. */
@FunctionalInterface
public interface RunVisitor {
    /**
     * The next {@code count} blocks are alike.
     *
     * @param isError whether they are in the error state
     * @param isZero whether they read as zeroes because they were zeroed or never written
     * @return whether to go on
     */
    boolean run(boolean isError, boolean isZero, long count);
}
