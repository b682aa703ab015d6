package pmemblk.pool.media;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LinuxTest {
    private static final int NEW = Linux.O_RDWR | Linux.O_CREAT | Linux.O_EXCL;
    private static final long LARGE = 5L << 30;

    @TempDir private Path directory = Path.of("");
    private Path path = Path.of("");
    private int fd;

    @BeforeEach
    void create() throws IOException {
        path = directory.resolve("file");
        fd = Linux.open(path, NEW, 0640);
    }

    @AfterEach
    void close() throws IOException {
        Linux.close(fd, path);
    }

    @Test
    void bytesBeyondFourGibibytesAreReadAsWritten() throws IOException {
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment written = memory.allocate(100).fill((byte) 7);
            MemorySegment read = memory.allocate(100);
            MemorySegment cached = memory.allocate(200);

            Linux.setSize(fd, LARGE + 100, path);
            assertEquals(100, Linux.write(fd, LARGE, written, path));
            Linux.syncData(fd, path);

            assertEquals(100, Linux.read(fd, LARGE, read, path));
            assertEquals(-1, written.mismatch(read));
            assertEquals(100, Linux.readNow(fd, LARGE, cached));
            assertEquals(-1, written.mismatch(cached.asSlice(0, 100)));
            assertEquals(0, Linux.readNow(fd, LARGE + 100, cached));
        }
    }

    @Test
    void statusTellsSizeAndPlaceAndNames() throws IOException {
        Linux.allocate(fd, 0, 1 << 20, path);
        Files.createLink(directory.resolve("other"), path);

        Linux.FileStatus status = Linux.status(fd, path);

        assertEquals(new Linux.FileStatus(true, 2, 1 << 20, status.allocated()), status);
        assertTrue(status.allocated() >= 1 << 20);
    }

    @Test
    void modeIsAsAsked() throws IOException {
        Linux.changeMode(fd, 0604, path);

        assertEquals(
                "rw----r--", PosixFilePermissions.toString(Files.getPosixFilePermissions(path)));
    }

    @Test
    void lockIsHeldAgainstAnotherOpenOfTheFile() throws IOException {
        int other = Linux.open(path, Linux.O_RDONLY, 0);

        assertTrue(Linux.tryLock(fd, path));
        assertFalse(Linux.tryLock(other, path));

        Linux.close(other, path);
    }

    @Test
    void failureIsTheOneThatErrnoTells() throws IOException {
        Path absent = directory.resolve("absent");
        int readOnly = Linux.open(path, Linux.O_RDONLY, 0);

        assertThrows(NoSuchFileException.class, () -> Linux.open(absent, Linux.O_RDWR, 0));
        assertThrows(FileAlreadyExistsException.class, () -> Linux.open(path, NEW, 0600));
        assertEquals(
                "Invalid argument",
                assertThrows(FileSystemException.class, () -> Linux.setSize(fd, -1, path))
                        .getReason());
        try (Arena memory = Arena.ofConfined()) {
            MemorySegment bytes = memory.allocate(1);
            assertEquals(
                    "Bad file descriptor",
                    assertThrows(
                                    FileSystemException.class,
                                    () -> Linux.write(readOnly, 0, bytes, path))
                            .getReason());
        }
        Linux.close(readOnly, path);
    }

    @Test
    void memoryOfTheHeapHasNoAddress() {
        MemorySegment heap = MemorySegment.ofArray(new byte[8]);

        assertThrows(IllegalArgumentException.class, () -> Linux.read(fd, 0, heap, path));
        assertThrows(IllegalArgumentException.class, () -> Linux.readNow(fd, 0, heap));
    }
}
