package pmemblk.nbd.export;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.SequencedSet;
import org.jspecify.annotations.Nullable;

/**
 * The exports of a server by name. The first is the default export, which the empty name is for.
 */
public final class Exports {
    private final SequencedMap<String, Export> byName;

    /**
     * Takes the exports in this order; whoever opened them closes them.
     *
     * @param byName at least one
     */
    public Exports(SequencedMap<String, ? extends Export> byName) {
        if (byName.isEmpty()) {
            throw new IllegalArgumentException("a server needs an export");
        }
        this.byName = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(byName));
    }

    /** The name that stands for this one: itself, or the default export's if it is empty. */
    public String resolve(String name) {
        return name.isEmpty() && !byName.containsKey(name) ? byName.firstEntry().getKey() : name;
    }

    /** The export of a name, or null if there is none. */
    public @Nullable Export get(String name) {
        return byName.get(resolve(name));
    }

    public SequencedSet<String> names() {
        return byName.sequencedKeySet();
    }
}
