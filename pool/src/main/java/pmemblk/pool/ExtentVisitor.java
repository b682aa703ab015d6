package pmemblk.pool;

/** Gets the extents of a range one after the other, from its first byte on. */
@FunctionalInterface
public interface ExtentVisitor {
    /**
     * The next bytes, of one block or several. The extent before may have been in the same state.
     *
     * @param length bytes, at least 1
     * @return whether to go on
     */
    boolean extent(BlockState state, long length);
}
