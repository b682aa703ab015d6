package pmemblk.nbd.protocol;

/** The forms that replies of the transmission phase have; a session has one of them. */
public enum ReplyForm {
    /** A header, behind which a READ has its data. */
    SIMPLE(16),
    /** Chunks that say what they carry. Where there is nothing to say, simple replies do. */
    STRUCTURED(20);

    private final int headerSize;

    ReplyForm(int headerSize) {
        this.headerSize = headerSize;
    }

    /** Bytes of a reply's, or of each chunk's, header. */
    public int headerSize() {
        return headerSize;
    }
}
