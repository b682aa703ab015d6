package pmemblk.nbd.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * A client that says anything once it has its export. The first byte of an input says what was
 * negotiated, the second how many bytes come in one piece.
 */
public final class TransmissionFuzz {
    private static final int GO = 7;
    private static final int STRUCTURED_REPLY = 8;
    private static final int SET_META_CONTEXT = 10;
    private static final int EXTENDED_HEADERS = 11;

    private static final int CHUNK = 0x668e33ef;
    private static final int EXTENDED_CHUNK = 0x6e8a278c;
    private static final int SIMPLE = 0x67446698;

    private TransmissionFuzz() {}

    /** The entry that Jazzer looks for. */
    public static void fuzzerTestOneInput(byte[] input) {
        if (input.length < 2) {
            return;
        }
        boolean structured = (input[0] & 1) != 0;
        boolean extended = (input[0] & 2) != 0;
        int piece = (input[1] & 0xff) + 1;
        try (FuzzedConnection connection = new FuzzedConnection()) {
            byte[] handshake = handshake(structured, extended, (input[0] & 4) != 0);
            connection.send(handshake, 0, handshake.length);
            connection.receive().release();
            if (!connection.isOpen()) {
                throw new AssertionError("the handshake has failed");
            }
            for (int at = 2; at < input.length; at += piece) {
                connection.send(input, at, Math.min(piece, input.length - at));
                ByteBuf replies = connection.receive();
                if (extended) {
                    requireChunks(replies, EXTENDED_CHUNK);
                } else if (structured) {
                    requireChunks(replies, CHUNK);
                }
                replies.release();
            }
        }
    }

    private static byte[] handshake(boolean structured, boolean extended, boolean contexts) {
        ByteBuf bytes = Unpooled.buffer();
        bytes.writeInt(3);
        if (structured) {
            option(bytes, STRUCTURED_REPLY, Unpooled.EMPTY_BUFFER);
        }
        if (extended) {
            option(bytes, EXTENDED_HEADERS, Unpooled.EMPTY_BUFFER);
        }
        if (contexts && (structured || extended)) {
            ByteBuf query = Unpooled.buffer();
            string(query, "disk");
            List<String> names =
                    List.of("base:allocation", "x-pmemblk:state", "x-pmemblk:atomic-unit");
            query.writeInt(names.size());
            names.forEach(name -> string(query, name));
            option(bytes, SET_META_CONTEXT, query);
        }
        ByteBuf go = Unpooled.buffer();
        string(go, "disk");
        option(bytes, GO, go.writeShort(0));
        byte[] all = new byte[bytes.readableBytes()];
        bytes.readBytes(all);
        return all;
    }

    private static void string(ByteBuf out, String text) {
        out.writeInt(text.length());
        out.writeCharSequence(text, StandardCharsets.UTF_8);
    }

    private static void option(ByteBuf out, int code, ByteBuf data) {
        out.writeLong(0x49484156454F5054L).writeInt(code).writeInt(data.readableBytes());
        out.writeBytes(data);
    }

    /** Replies have to be whole chunks, or simple ones where the session has structured replies. */
    private static void requireChunks(ByteBuf replies, int magic) {
        while (replies.isReadable()) {
            int found = replies.getInt(replies.readerIndex());
            if (found == SIMPLE && magic == CHUNK) {
                replies.skipBytes(16);
            } else if (found == magic) {
                int header = magic == CHUNK ? 20 : 32;
                long length =
                        magic == CHUNK
                                ? replies.getUnsignedInt(replies.readerIndex() + 16)
                                : replies.getLong(replies.readerIndex() + 24);
                replies.skipBytes(header + Math.toIntExact(length));
            } else {
                throw new AssertionError("a reply begins with %#x".formatted(found));
            }
        }
    }
}
