package pmemblk.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import org.opentest4j.AssertionFailedError;
import pmemblk.nbd.export.Export;
import pmemblk.nbd.export.Exports;
import pmemblk.nbd.server.NbdServer;
import pmemblk.nbd.server.ServerOptions;

/**
 * A filesystem of the kernel on a disk of the tests, which is served to nbdfuse, whose file a loop
 * device is made of. For programs that {@link OwnMounts} runs.
 */
final class LoopFilesystem {
    private static final long START_LIMIT_NANOS = 30_000_000_000L;

    private final Path device;
    private final Path mountPoint;
    private final Process nbdfuse;

    private LoopFilesystem(Path device, Path mountPoint, Process nbdfuse) {
        this.device = device;
        this.mountPoint = mountPoint;
        this.nbdfuse = nbdfuse;
    }

    /** Makes a filesystem by the command {@code mkfs}; keeps what it needs in {@code folder}. */
    static LoopFilesystem make(Path folder, Export disk, String mkfs)
            throws IOException, InterruptedException {
        Path socket = folder.resolve("disk.sock");
        LinkedHashMap<String, Export> exports = new LinkedHashMap<>();
        exports.put("disk", disk);
        NbdServer.start(new ServerOptions(List.of(), List.of(socket)), new Exports(exports));
        Path device = Files.createDirectory(folder.resolve("device")).resolve("disk");
        Path up = folder.resolve("nbdfuse.pid");
        Process nbdfuse =
                new ProcessBuilder(
                                "nbdfuse",
                                "-P",
                                up.toString(),
                                device.toString(),
                                "nbd+unix:///disk?socket=" + socket)
                        .inheritIO()
                        .start();
        LoopFilesystem made =
                new LoopFilesystem(device, Files.createDirectory(folder.resolve("mount")), nbdfuse);
        made.await(up);
        Command.of(mkfs, device).succeed();
        made.mount();
        return made;
    }

    private void await(Path up) {
        long end = System.nanoTime() + START_LIMIT_NANOS;
        while (!Files.exists(up)) {
            if (!nbdfuse.isAlive() || System.nanoTime() > end) {
                throw new AssertionFailedError("nbdfuse does not come up; is there a /dev/fuse?");
            }
            Thread.onSpinWait();
        }
    }

    /** The root of the filesystem. */
    Path root() {
        return mountPoint;
    }

    private void mount() throws IOException, InterruptedException {
        Command.of("mount -o loop,nodiscard", device, mountPoint).succeed();
    }

    /** Mounts it anew, as a machine does that starts: from the disk alone. */
    void remount() throws IOException, InterruptedException {
        Command.of("umount", mountPoint).succeed();
        dropCache(device);
        mount();
    }

    /** Has the kernel forget what it caches of a file that is synced, here and below. */
    void dropCaches(Path file) throws IOException, InterruptedException {
        dropCache(file);
        dropCache(device);
    }

    private static void dropCache(Path file) throws IOException, InterruptedException {
        Command.of("dd iflag=nocache count=0 status=none", "if=" + file).succeed();
    }

    /** Takes the disk away. */
    void pullDisk() throws InterruptedException {
        nbdfuse.destroyForcibly().waitFor();
    }
}
