package pmemblk.nbd.protocol;

/** The forms that replies of the transmission phase have; a session has one of them. */
public enum ReplyForm {
    /** A header, behind which a READ has its data. */
    SIMPLE(16, 0, 0),
    /** Chunks that say what they carry. Where there is nothing to say, simple replies do. */
    STRUCTURED(20, 4, 8),
    /** Chunks with lengths of 64 bits, as the headers of requests then have too. */
    EXTENDED(32, 8, 16);

    private final int headerSize;
    private final int statusPrefixSize;
    private final int descriptorSize;

    ReplyForm(int headerSize, int statusPrefixSize, int descriptorSize) {
        this.headerSize = headerSize;
        this.statusPrefixSize = statusPrefixSize;
        this.descriptorSize = descriptorSize;
    }

    /** Bytes of a reply's, or of each chunk's, header. */
    public int headerSize() {
        return headerSize;
    }

    /** Bytes between header and descriptors of a {@link Chunk.BlockStatus}. */
    public int statusPrefixSize() {
        return statusPrefixSize;
    }

    /** Bytes of a descriptor. */
    public int descriptorSize() {
        return descriptorSize;
    }
}
