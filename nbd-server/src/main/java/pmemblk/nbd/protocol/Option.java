package pmemblk.nbd.protocol;

import java.util.Set;

/** What a client asks for while options are haggled over. */
public sealed interface Option {

    /** The code that replies repeat. */
    int code();

    /** Begin transmission, the old way: there is no reply, and no way to refuse but to hang up. */
    record ExportName(String name) implements Option {
        @Override
        public int code() {
            return OptionCode.EXPORT_NAME;
        }
    }

    /** End the handshake. */
    record Abort() implements Option {
        @Override
        public int code() {
            return OptionCode.ABORT;
        }
    }

    /** Name the exports. */
    record List() implements Option {
        @Override
        public int code() {
            return OptionCode.LIST;
        }
    }

    /**
     * Go on in TLS.
     *
     * @param followed whether more bytes came with it: a client that means well awaits the answer,
     *     so these may be an attacker's, put into what would be taken for the client's own
     */
    record StartTls(boolean followed) implements Option {
        @Override
        public int code() {
            return OptionCode.STARTTLS;
        }
    }

    /**
     * Describe an export, and begin transmission if it says GO.
     *
     * @param name of the export; empty for the default one
     * @param infos the {@link InfoType} codes asked for, known or not
     */
    record Info(boolean go, String name, Set<Integer> infos) implements Option {
        @Override
        public int code() {
            return go ? OptionCode.GO : OptionCode.INFO;
        }
    }

    /** Let replies have chunks. */
    record StructuredReply() implements Option {
        @Override
        public int code() {
            return OptionCode.STRUCTURED_REPLY;
        }
    }

    /**
     * List the metadata contexts of an export that there are, or select those to be queried.
     *
     * @param exportName empty for the default one
     * @param queries a name each, or what the namespace before its colon has instead
     */
    record MetaContext(boolean set, String exportName, java.util.List<String> queries)
            implements Option {
        @Override
        public int code() {
            return set ? OptionCode.SET_META_CONTEXT : OptionCode.LIST_META_CONTEXT;
        }
    }

    /** Let requests and replies have extended headers. */
    record ExtendedHeaders() implements Option {
        @Override
        public int code() {
            return OptionCode.EXTENDED_HEADERS;
        }
    }

    /** An option that is not spoken here; its data was skipped. */
    record Unsupported(int code) implements Option {}

    /**
     * An option whose data does not make sense.
     *
     * @param reason for the client
     */
    record Malformed(int code, String reason) implements Option {}
}
