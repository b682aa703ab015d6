package pmemblk.nbd.export;

/** Gets the extents of a range one after the other, from its first byte on. */
@FunctionalInterface
public interface ExtentVisitor {
    /**
     * The next bytes. The extent before may have been in the same state.
     *
     * @param length bytes, at least 1
     * @return whether to go on
     */
    boolean extent(ExtentState state, long length);
}
