package pmemblk.nbd.protocol;

/** A server's answer while options are haggled over. */
public sealed interface OptionReply {

    /** Done; the last reply to an option. */
    record Ack() implements OptionReply {}

    /**
     * One export of a list.
     *
     * @param description for a person
     */
    record Server(String exportName, String description) implements OptionReply {}

    /**
     * The size of an export and what it can do.
     *
     * @param size bytes
     * @param flags {@link TransmissionFlags}
     */
    record Export(long size, int flags) implements OptionReply {}

    /** The name of an export. */
    record Name(String name) implements OptionReply {}

    /** What an export is, for a person. */
    record Description(String text) implements OptionReply {}

    /** The sizes of requests, in bytes, that an export takes, likes, and takes at most. */
    record BlockSize(int minimum, int preferred, int maximumPayload) implements OptionReply {}

    /**
     * A metadata context that there is, or was selected.
     *
     * @param id what it is called in replies; 0 if it is only listed
     */
    record MetaContext(int id, String name) implements OptionReply {}

    /** No; the last reply to an option. */
    record Refusal(OptionError error, String reason) implements OptionReply {}
}
