package pmemblk.nbd.export;

/**
 * What an export is and can do. All of them flush, honour FUA and can be used over many connections
 * at once, which see one consistent disk.
 *
 * @param size bytes
 * @param preferredBlockSize bytes of the requests that suit it best, a power of two from 512 on
 * @param zeroGranularity zeroing is fast for ranges that begin and end at multiples of so many
 *     bytes
 * @param readOnly whether nothing can be changed
 * @param description for a person
 */
public record ExportInfo(
        long size,
        int preferredBlockSize,
        int zeroGranularity,
        boolean readOnly,
        String description) {}
