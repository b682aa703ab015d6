package pmemblk.nbd.protocol;

/** The kinds of information on an export. */
public final class InfoType {
    public static final int EXPORT = 0;
    public static final int NAME = 1;
    public static final int DESCRIPTION = 2;
    public static final int BLOCK_SIZE = 3;

    private InfoType() {}
}
