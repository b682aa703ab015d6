package pmemblk.nbd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.junit.jupiter.api.Test;

class DiagnosisTest {
    @Test
    void failureOfTheSystemIsToldInItsOwnWords() {
        Diagnosis diagnosis = Diagnosis.of(new UncheckedIOException(new IOException("disk full")));

        assertEquals(new Diagnosis("disk full", 2, false), diagnosis);
    }

    @Test
    void bugIsAdmitted() {
        Diagnosis diagnosis = Diagnosis.of(new IllegalStateException("lane 3 is free twice"));

        assertTrue(diagnosis.isOurFault());
        assertTrue(diagnosis.line().contains("lane 3 is free twice"));
        assertEquals(2, diagnosis.exitStatus());
    }
}
