package pmemblk.nbd.protocol;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import java.nio.charset.StandardCharsets;

/** Writes what a server says before transmission. */
public final class HandshakeEncoder {
    /** Handshake flag: options may be refused without ending the session. */
    public static final int FLAG_FIXED_NEWSTYLE = 1;

    /** Handshake and client flag: no padding behind the answer to EXPORT_NAME. */
    public static final int FLAG_NO_ZEROES = 1 << 1;

    static final long NBDMAGIC = 0x4e42444d41474943L;
    static final long IHAVEOPT = 0x49484156454f5054L;

    private static final long REPLY_MAGIC = 0x3e889045565a9L;
    private static final int REP_ACK = 1;
    private static final int REP_SERVER = 2;
    private static final int REP_INFO = 3;
    private static final int REP_META_CONTEXT = 4;
    private static final int PADDING = 124;

    private HandshakeEncoder() {}

    /** Greets. */
    public static void greet(ByteBuf out) {
        out.writeLong(NBDMAGIC);
        out.writeLong(IHAVEOPT);
        out.writeShort(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
    }

    /** Answers EXPORT_NAME, after which transmission begins. */
    public static void exportName(ByteBuf out, long size, int flags, boolean noZeroes) {
        out.writeLong(size);
        out.writeShort(flags);
        if (!noZeroes) {
            out.writeZero(PADDING);
        }
    }

    /** Writes one reply to the option of this code. */
    public static void reply(ByteBuf out, int option, OptionReply reply) {
        out.writeLong(REPLY_MAGIC);
        out.writeInt(option);
        switch (reply) {
            case OptionReply.Ack() -> {
                out.writeInt(REP_ACK);
                out.writeInt(0);
            }
            case OptionReply.Server(String name, String description) -> {
                out.writeInt(REP_SERVER);
                int length = ByteBufUtil.utf8Bytes(name);
                out.writeInt(Integer.BYTES + length + ByteBufUtil.utf8Bytes(description));
                out.writeInt(length);
                out.writeCharSequence(name, StandardCharsets.UTF_8);
                out.writeCharSequence(description, StandardCharsets.UTF_8);
            }
            case OptionReply.Export(long size, int flags) -> {
                info(out, InfoType.EXPORT, Long.BYTES + Short.BYTES);
                out.writeLong(size);
                out.writeShort(flags);
            }
            case OptionReply.Name(String name) -> text(out, InfoType.NAME, name);
            case OptionReply.Description(String text) -> text(out, InfoType.DESCRIPTION, text);
            case OptionReply.BlockSize(int minimum, int preferred, int maximum) -> {
                info(out, InfoType.BLOCK_SIZE, 3 * Integer.BYTES);
                out.writeInt(minimum);
                out.writeInt(preferred);
                out.writeInt(maximum);
            }
            case OptionReply.MetaContext(int id, String name) -> {
                out.writeInt(REP_META_CONTEXT);
                out.writeInt(Integer.BYTES + ByteBufUtil.utf8Bytes(name));
                out.writeInt(id);
                out.writeCharSequence(name, StandardCharsets.UTF_8);
            }
            case OptionReply.Refusal(OptionError error, String reason) -> {
                out.writeInt(error.code());
                out.writeInt(ByteBufUtil.utf8Bytes(reason));
                out.writeCharSequence(reason, StandardCharsets.UTF_8);
            }
        }
    }

    private static void info(ByteBuf out, int type, int length) {
        out.writeInt(REP_INFO);
        out.writeInt(Short.BYTES + length);
        out.writeShort(type);
    }

    private static void text(ByteBuf out, int type, String text) {
        info(out, type, ByteBufUtil.utf8Bytes(text));
        out.writeCharSequence(text, StandardCharsets.UTF_8);
    }
}
