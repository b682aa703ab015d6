package pmemblk.pool.btt;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import pmemblk.pool.media.Medium;

class CrashMediumTest {
    private static final int[] WORDS = {1, 2, 3};

    private static Set<List<Integer>> images(CrashMedium medium, long... offsets)
            throws IOException {
        Set<List<Integer>> images = new HashSet<>();
        for (long i = 0; i < medium.imageCount(-1); i++) {
            CrashMedium image = medium.image(-1, i);
            List<Integer> words = new ArrayList<>();
            for (long offset : offsets) {
                words.add(image.load(offset));
            }
            images.add(words);
        }
        return images;
    }

    private static CrashMedium withSmallUnits() {
        return new CrashMedium(Medium.Kind.FILE, 4096, offset -> offset < 512 ? 4 : 512);
    }

    @Test
    void wordsStoredInARowAreFoundInAnyCombinationIfEachHasAUnit() throws IOException {
        CrashMedium medium = withSmallUnits();

        medium.storeAll(8, WORDS, WORDS.length);

        assertEquals(8, images(medium, 8, 12, 16).size());
    }

    @Test
    void wordsStoredHereAndThereAreFoundInAnyCombinationIfEachHasAUnit() throws IOException {
        CrashMedium medium = withSmallUnits();

        medium.storeEach(new long[] {0, 508, 1020}, WORDS);

        assertEquals(8, images(medium, 0, 508, 1020).size());
    }

    @Test
    void wordsOfOneSectorAreFoundInTheOrderInWhichTheyWereStored() throws IOException {
        CrashMedium medium = new CrashMedium(Medium.Kind.FILE, 4096);

        medium.storeAll(8, WORDS, WORDS.length);

        assertEquals(
                Set.of(List.of(0, 0, 0), List.of(1, 0, 0), List.of(1, 2, 0), List.of(1, 2, 3)),
                images(medium, 8, 12, 16));
    }

    @Test
    void syncOfAllButARangeLeavesTheUnitsThatItTouches() throws IOException {
        CrashMedium medium = withSmallUnits();
        medium.storeEach(new long[] {0, 508, 1020}, WORDS);

        medium.syncAllBut(508, 600);

        assertEquals(
                Set.of(List.of(1, 0, 0), List.of(1, 0, 3), List.of(1, 2, 0), List.of(1, 2, 3)),
                images(medium, 0, 508, 1020));
    }
}
