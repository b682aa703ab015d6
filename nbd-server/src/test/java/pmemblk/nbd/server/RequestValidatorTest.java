package pmemblk.nbd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static pmemblk.nbd.protocol.ReplyForm.SIMPLE;
import static pmemblk.nbd.protocol.ReplyForm.STRUCTURED;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import pmemblk.nbd.export.ExportInfo;
import pmemblk.nbd.protocol.Command;
import pmemblk.nbd.protocol.NbdError;
import pmemblk.nbd.protocol.ReplyForm;
import pmemblk.nbd.protocol.Request;

class RequestValidatorTest {
    private static final long SIZE = 1L << 30;
    private static final ExportInfo DISK = new ExportInfo(SIZE, 4096, 4096, false, "");
    private static final ExportInfo READ_ONLY = new ExportInfo(SIZE, 4096, 4096, true, "");

    private static @Nullable NbdError validate(Request request, ExportInfo info, ReplyForm form) {
        return validate(request, info, form, List.of());
    }

    private static @Nullable NbdError validate(
            Request request, ExportInfo info, ReplyForm form, List<MetaContext> contexts) {
        Refusal refusal =
                RequestValidator.validate(
                        request, new Session("disk", new DescribedExport(info), form, contexts));
        return refusal == null ? null : refusal.error();
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "READ, 0, 0, 1, -",
                "READ, 0, 1073741823, 1, -",
                "READ, 0, 1073741824, 0, -",
                "READ, 0, 1073741823, 2, EINVAL",
                "READ, 0, -1, 1, EINVAL",
                "READ, 0, 9223372036854775807, 4294967295, EINVAL",
                "READ, 0, 0, 33554432, -",
                "READ, 0, 0, 33554433, EINVAL",
                "READ, 1, 0, 512, -",
                "READ, 2, 0, 512, EINVAL",
                "READ, 4, 0, 512, EINVAL",
                "WRITE, 0, 1073741823, 1, -",
                "WRITE, 1, 0, 1, -",
                "WRITE, 0, 1073741823, 2, ENOSPC",
                "WRITE, 0, -1, 2, ENOSPC",
                "WRITE, 0, 0, 33554433, EINVAL",
                "WRITE, 2, 0, 1, EINVAL",
                "TRIM, 1, 0, 1073741824, -",
                "TRIM, 0, 1, 1073741824, EINVAL",
                "TRIM, 16, 0, 1, EINVAL",
                "WRITE_ZEROES, 3, 1, 1073741823, -",
                "WRITE_ZEROES, 16, 4096, 8192, -",
                "WRITE_ZEROES, 16, 4096, 8191, ENOTSUP",
                "WRITE_ZEROES, 19, 1, 4096, ENOTSUP",
                "WRITE_ZEROES, 0, 1, 1073741824, ENOSPC",
                "WRITE_ZEROES, 32, 0, 1, EINVAL",
                "CACHE, 0, 0, 1073741824, -",
                "CACHE, 0, 1, 1073741824, EINVAL",
                "FLUSH, 0, 0, 0, -",
                "FLUSH, 1, 0, 0, -",
                "FLUSH, 0, 1, 0, EINVAL",
                "FLUSH, 0, 0, 1, EINVAL",
                "DISC, 0, 0, 0, -",
                "DISC, 65535, 1, 1, -",
            })
    void requestsAreRefusedAsTheProtocolSays(
            Command command, int flags, long offset, long length, NbdError error) {
        assertEquals(error, validate(new Request(command, flags, 1, offset, length), DISK, SIMPLE));
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "READ, 4, 0, 512, -",
                "READ, 5, 0, 33554432, -",
                "READ, 0, 0, 33554433, EOVERFLOW",
                "READ, 4, 0, 33554433, EOVERFLOW",
                "READ, 8, 0, 512, EINVAL",
                "WRITE, 4, 0, 512, EINVAL",
            })
    void dataIsNotFragmentedOnlyWhereItCouldBe(
            Command command, int flags, long offset, long length, NbdError error) {
        assertEquals(
                error, validate(new Request(command, flags, 1, offset, length), DISK, STRUCTURED));
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "0, 0, 1073741824, -",
                "8, 1073741823, 1, -",
                "9, 0, 1, -",
                "0, 0, 0, EINVAL",
                "0, 1, 1073741824, EINVAL",
                "0, 1073741824, 1, EINVAL",
                "4, 0, 1, EINVAL",
            })
    void statusIsOfARangeThatThereIs(int flags, long offset, long length, NbdError error) {
        Request request = new Request(Command.BLOCK_STATUS, flags, 1, offset, length);

        assertEquals(error, validate(request, DISK, STRUCTURED, List.of(MetaContext.ALLOCATION)));
        assertEquals(NbdError.EINVAL, validate(request, DISK, STRUCTURED));
    }

    @Test
    void anUnknownCommandIsRefused() {
        assertEquals(NbdError.EINVAL, validate(new Request(null, 0, 1, 0, 0), DISK, SIMPLE));
    }

    @ParameterizedTest
    @CsvSource({"WRITE", "TRIM", "WRITE_ZEROES"})
    void changesOfAReadOnlyExportAreNotPermitted(Command command) {
        assertEquals(
                NbdError.EPERM, validate(new Request(command, 0, 1, 0, 512), READ_ONLY, SIMPLE));
        assertNull(validate(new Request(Command.FLUSH, 0, 1, 0, 0), READ_ONLY, SIMPLE));
    }
}
