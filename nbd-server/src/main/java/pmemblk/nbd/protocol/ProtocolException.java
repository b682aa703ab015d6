package pmemblk.nbd.protocol;

/** The client broke the protocol, so that what follows cannot be understood; its session ends. */
public final class ProtocolException extends Exception {
    private static final long serialVersionUID = 1;

    public ProtocolException(String message) {
        super(message);
    }
}
