package pmemblk.nbd.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class ReplyCodecTest {
    private static final Request REQUEST =
            new Request(Command.READ, 0, 0x0102030405060708L, 0x0a0b, 0x2000);

    private static String encoded(Consumer<ByteBuf> encoder) {
        ByteBuf out = Unpooled.buffer();
        encoder.accept(out);
        return ByteBufUtil.hexDump(out);
    }

    /** Checks a chunk in both forms, given all but magic, cookie, offset and upper length. */
    private static void requireEncoded(
            boolean done, Chunk chunk, String flagsAndType, String length, String payload) {
        String cookie = "0102030405060708";
        assertEquals(
                "668e33ef" + flagsAndType + cookie + length + payload,
                encoded(
                        out ->
                                ReplyEncoder.chunk(
                                        out, ReplyForm.STRUCTURED, REQUEST, done, chunk)));
        assertEquals(
                "6e8a278c" + flagsAndType + cookie + "0000000000000a0b00000000" + length + payload,
                encoded(out -> ReplyEncoder.chunk(out, ReplyForm.EXTENDED, REQUEST, done, chunk)));
    }

    @Test
    void simpleRepliesHaveTheirGoldenBytes() {
        assertEquals(
                "67446698" + "0000001c" + "0102030405060708",
                encoded(out -> ReplyEncoder.simple(out, 0x0102030405060708L, NbdError.ENOSPC)));
        assertEquals(
                "67446698" + "00000000" + "0000000000000001",
                encoded(out -> ReplyEncoder.simple(out, 1, null)));
    }

    @Test
    void chunksHaveTheirGoldenBytes() {
        requireEncoded(true, new Chunk.None(), "00010000", "00000000", "");
        requireEncoded(
                false, new Chunk.Data(0x1000, 512), "00000001", "00000208", "0000000000001000");
        requireEncoded(
                true,
                new Chunk.Hole(Long.MIN_VALUE, 32 << 20),
                "00010002",
                "0000000c",
                "8000000000000000" + "02000000");
        requireEncoded(
                true,
                new Chunk.Failure(NbdError.EINVAL, "é"),
                "00018001",
                "00000008",
                "00000016" + "0002" + "c3a9");
        requireEncoded(
                false,
                new Chunk.FailureAt(NbdError.EIO, "no", 0x1200),
                "00008002",
                "00000010",
                "00000005" + "0002" + "6e6f" + "0000000000001200");
    }

    @Test
    void statusChunksDifferWithTheForm() {
        Chunk chunk = new Chunk.BlockStatus(3, 2);
        String cookie = "0102030405060708";

        assertEquals(
                "668e33ef" + "00010005" + cookie + "00000014" + "00000003",
                encoded(
                        out ->
                                ReplyEncoder.chunk(
                                        out, ReplyForm.STRUCTURED, REQUEST, true, chunk)));
        assertEquals(
                "6e8a278c"
                        + "00010006"
                        + cookie
                        + "0000000000000a0b"
                        + "0000000000000028"
                        + "00000003"
                        + "00000002",
                encoded(out -> ReplyEncoder.chunk(out, ReplyForm.EXTENDED, REQUEST, true, chunk)));
    }

    @Test
    void descriptorsHaveTheirGoldenBytes() {
        assertEquals(
                "fffffe00" + "80000002",
                encoded(
                        out ->
                                ReplyEncoder.descriptor(
                                        out, ReplyForm.STRUCTURED, 0xffff_fe00L, 0x8000_0002)));
        assertEquals(
                "0000010000000000" + "0000000080000002",
                encoded(
                        out ->
                                ReplyEncoder.descriptor(
                                        out, ReplyForm.EXTENDED, 1L << 40, 0x8000_0002)));
    }

    @Test
    void sizesSaidOfAFormAreThoseOfItsBytes() {
        for (ReplyForm form : new ReplyForm[] {ReplyForm.STRUCTURED, ReplyForm.EXTENDED}) {
            ByteBuf out = Unpooled.buffer();
            ReplyEncoder.chunk(out, form, REQUEST, true, new Chunk.None());
            assertEquals(form.headerSize(), out.readableBytes());
            ReplyEncoder.chunk(out.clear(), form, REQUEST, true, new Chunk.BlockStatus(1, 1));
            assertEquals(form.headerSize() + form.statusPrefixSize(), out.readableBytes());
            ReplyEncoder.descriptor(out.clear(), form, 1, 1);
            assertEquals(form.descriptorSize(), out.readableBytes());
        }
    }
}
