package pmemblk.nbd.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import org.junit.jupiter.api.Test;

class ReplyCodecTest {
    private static final Request REQUEST =
            new Request(Command.READ, 0, 0x0102030405060708L, 0x1000, 0x2000);

    private static String encoded(boolean done, Chunk chunk) {
        ByteBuf out = Unpooled.buffer();
        ReplyEncoder.chunk(out, REQUEST, done, chunk);
        return ByteBufUtil.hexDump(out);
    }

    private static String head(String flags, String type, String length) {
        return "668e33ef" + flags + type + "0102030405060708" + length;
    }

    @Test
    void descriptorsHaveTheirGoldenBytes() {
        ByteBuf out = Unpooled.buffer();
        ReplyEncoder.descriptor(out, 0xffff_fe00L, 2);

        assertEquals("fffffe00" + "00000002", ByteBufUtil.hexDump(out));
    }

    @Test
    void structuredChunksHaveTheirGoldenBytes() {
        assertEquals(head("0001", "0000", "00000000"), encoded(true, new Chunk.None()));
        assertEquals(
                head("0000", "0001", "00000208") + "0000000000001000",
                encoded(false, new Chunk.Data(0x1000, 512)));
        assertEquals(
                head("0001", "0002", "0000000c") + "8000000000000000" + "02000000",
                encoded(true, new Chunk.Hole(Long.MIN_VALUE, 32 << 20)));
        assertEquals(
                head("0001", "0005", "00000014") + "00000003",
                encoded(true, new Chunk.BlockStatus(3, 2)));
        assertEquals(
                head("0001", "8001", "00000008") + "00000016" + "0002" + "c3a9",
                encoded(true, new Chunk.Failure(NbdError.EINVAL, "é")));
        assertEquals(
                head("0000", "8002", "00000010")
                        + "00000005"
                        + "0002"
                        + "6e6f"
                        + "0000000000001200",
                encoded(false, new Chunk.FailureAt(NbdError.EIO, "no", 0x1200)));
    }
}
