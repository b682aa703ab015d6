package pmemblk.nbd.protocol;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Decodes the client's half of the handshake: its {@link ClientFlags}, then one {@link Option}
 * after the other, each handed on before the next is looked at. Whoever begins transmission removes
 * this decoder, which then hands on what it has not decoded.
 */
public final class HandshakeDecoder extends ByteToMessageDecoder {
    private static final int OPTION_HEADER = 16;

    private final int maxOptionBytes;
    private boolean flagsSeen;
    private boolean paused;

    /**
     * Begins with the client's flags.
     *
     * @param maxOptionBytes of the data of an option
     */
    public HandshakeDecoder(int maxOptionBytes) {
        this(maxOptionBytes, false);
    }

    private HandshakeDecoder(int maxOptionBytes, boolean flagsSeen) {
        this.maxOptionBytes = maxOptionBytes;
        this.flagsSeen = flagsSeen;
    }

    /** Goes on with the options behind one at which another decoder was paused. */
    public static HandshakeDecoder ofMoreOptions(int maxOptionBytes) {
        return new HandshakeDecoder(maxOptionBytes, true);
    }

    /** The flags that a client answers the greeting with. */
    public record ClientFlags(int flags) {
        /**
         * Whether the client takes no for an answer; else it asks for one export, and that is it.
         */
        public boolean fixedNewstyle() {
            return (flags & HandshakeEncoder.FLAG_FIXED_NEWSTYLE) != 0;
        }

        /** Whether the client wants no padding behind the answer to EXPORT_NAME. */
        public boolean noZeroes() {
            return (flags & HandshakeEncoder.FLAG_NO_ZEROES) != 0;
        }
    }

    /** Leaves what comes next to whoever removes this decoder. */
    public void pause() {
        paused = true;
    }

    @Override
    protected void decode(ChannelHandlerContext ctx, ByteBuf in, List<Object> out)
            throws ProtocolException {
        if (paused) {
            return;
        }
        if (!flagsSeen) {
            if (in.readableBytes() >= Integer.BYTES) {
                flagsSeen = true;
                out.add(clientFlags(in.readInt()));
            }
            return;
        }
        if (in.readableBytes() < OPTION_HEADER) {
            return;
        }
        int start = in.readerIndex();
        long magic = in.getLong(start);
        if (magic != HandshakeEncoder.IHAVEOPT) {
            throw new ProtocolException("option begins with %#x, not IHAVEOPT".formatted(magic));
        }
        long length = in.getUnsignedInt(start + 12);
        if (length > maxOptionBytes) {
            throw new ProtocolException(
                    "option of %d bytes, at most %d are taken".formatted(length, maxOptionBytes));
        }
        if (in.readableBytes() >= OPTION_HEADER + length) {
            int code = in.getInt(start + 8);
            in.skipBytes(OPTION_HEADER);
            ByteBuf data = in.readSlice((int) length);
            out.add(option(code, data, in.isReadable()));
        }
    }

    private static ClientFlags clientFlags(int flags) throws ProtocolException {
        int known = HandshakeEncoder.FLAG_FIXED_NEWSTYLE | HandshakeEncoder.FLAG_NO_ZEROES;
        if ((flags & ~known) != 0) {
            throw new ProtocolException("unknown client flags %#x".formatted(flags));
        }
        return new ClientFlags(flags);
    }

    private static Option option(int code, ByteBuf data, boolean followed)
            throws ProtocolException {
        return switch (code) {
            case OptionCode.EXPORT_NAME -> exportName(data);
            case OptionCode.ABORT -> new Option.Abort();
            case OptionCode.LIST -> bare(data, new Option.List());
            case OptionCode.STARTTLS -> bare(data, new Option.StartTls(followed));
            case OptionCode.INFO, OptionCode.GO -> info(code, data);
            case OptionCode.STRUCTURED_REPLY -> bare(data, new Option.StructuredReply());
            case OptionCode.LIST_META_CONTEXT, OptionCode.SET_META_CONTEXT ->
                    metaContext(code, data);
            case OptionCode.EXTENDED_HEADERS -> bare(data, new Option.ExtendedHeaders());
            default -> new Option.Unsupported(code);
        };
    }

    private static Option bare(ByteBuf data, Option option) {
        return data.isReadable()
                ? new Option.Malformed(option.code(), "this option takes no data")
                : option;
    }

    private static Option exportName(ByteBuf data) throws ProtocolException {
        String name = data.readableBytes() > Limits.NAME_LENGTH ? null : text(data);
        if (name == null) {
            throw new ProtocolException("EXPORT_NAME with a name that none can have");
        }
        return new Option.ExportName(name);
    }

    private static Option info(int code, ByteBuf data) {
        if (data.readableBytes() < Integer.BYTES + Short.BYTES) {
            return new Option.Malformed(code, "the data is too short for a name and a count");
        }
        long nameLength = data.readUnsignedInt();
        if (nameLength > data.readableBytes() - Short.BYTES) {
            return new Option.Malformed(code, "the name is longer than the data");
        }
        if (nameLength > Limits.NAME_LENGTH) {
            return new Option.Malformed(code, "the name is longer than 4096 bytes");
        }
        String name = text(data.readSlice((int) nameLength));
        if (name == null) {
            return new Option.Malformed(code, "the name is not UTF-8, or has a NUL in it");
        }
        int count = data.readUnsignedShort();
        if (data.readableBytes() != count * Short.BYTES) {
            return new Option.Malformed(code, "the count of information requests does not fit");
        }
        Set<Integer> infos = new HashSet<>();
        while (data.isReadable()) {
            infos.add(data.readUnsignedShort());
        }
        return new Option.Info(code == OptionCode.GO, name, infos);
    }

    private static Option metaContext(int code, ByteBuf data) {
        String name = string(data);
        if (name == null || data.readableBytes() < Integer.BYTES) {
            return new Option.Malformed(code, "the data begins with no name and count");
        }
        List<String> queries = new ArrayList<>();
        for (long left = data.readUnsignedInt(); left > 0; left--) {
            String query = string(data);
            if (query == null || query.indexOf(':') < 1) {
                return new Option.Malformed(
                        code, "query %d is no namespace:name".formatted(queries.size() + 1));
            }
            queries.add(query);
        }
        return data.isReadable()
                ? new Option.Malformed(code, "the count of queries does not fit")
                : new Option.MetaContext(code == OptionCode.SET_META_CONTEXT, name, queries);
    }

    /** A string behind its length, or null if there is none. */
    private static @Nullable String string(ByteBuf data) {
        if (data.readableBytes() < Integer.BYTES) {
            return null;
        }
        long length = data.readUnsignedInt();
        return length > data.readableBytes() || length > Limits.NAME_LENGTH
                ? null
                : text(data.readSlice((int) length));
    }

    private static @Nullable String text(ByteBuf data) {
        byte[] bytes = new byte[data.readableBytes()];
        data.readBytes(bytes);
        try {
            String text =
                    StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
            return text.indexOf('\0') < 0 ? text : null;
        } catch (CharacterCodingException e) {
            return null;
        }
    }
}
