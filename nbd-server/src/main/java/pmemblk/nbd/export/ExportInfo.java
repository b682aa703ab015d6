package pmemblk.nbd.export;

/**
 * What an export is and can do. All of them flush, honour FUA and can be used over many connections
 * at once, which see one consistent disk.
 *
 * @param size bytes
 * @param preferredBlockSize bytes of the requests that suit it best, a power of two from 512 on
 * @param blockSize bytes of a block, the first of which begins at 0; each is written whole or not
 *     at all, and zeroing whole ones is fast
 * @param readOnly whether nothing can be changed
 * @param description for a person
 */
public record ExportInfo(
        long size, int preferredBlockSize, int blockSize, boolean readOnly, String description) {}
