package pmemblk.nbd.server;

/**
 * A client that says anything from the first byte on. The first byte of an input is not sent: it
 * says how many of the others come in one piece.
 */
public final class HandshakeFuzz {
    private HandshakeFuzz() {}

    /** The entry that Jazzer looks for. */
    public static void fuzzerTestOneInput(byte[] input) {
        int piece = input.length == 0 ? 1 : (input[0] & 0xff) + 1;
        try (FuzzedConnection connection = new FuzzedConnection()) {
            for (int at = 1; at < input.length; at += piece) {
                connection.send(input, at, Math.min(piece, input.length - at));
                connection.receive().release();
            }
        }
    }
}
