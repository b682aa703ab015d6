package pmemblk.nbd.cli;

import java.util.LinkedHashMap;
import java.util.SequencedMap;
import pmemblk.pool.PoolInfo;

/** What {@code info} prints. */
record PoolReport(PoolInfo info) {
    /** What the kernel does best with, where the disk has a whole number of them; else sectors. */
    private static final int PAGE = 4096;

    private static final int SECTOR = 512;

    String text() {
        String path = info.path().toString();
        String name = PoolArgument.defaultName(info.path());
        return """
               Pool:             %s
               UUID:             %s
               File:             %s
               Disk:             %s
               Blocks:           %d of %d bytes
               Arenas:           %d, with %d lanes each
               Medium:           %s
               After kill -9:    %s
               After power cut:  %s
               Serve it:         pmemblk-nbd serve %s
               Look at it:       nbdinfo %s
               Attach it:        nbd-client 127.0.0.1 10809 /dev/nbd0 -N %s -b %d
               """
                .formatted(
                        path,
                        info.uuid(),
                        ByteSize.format(info.fileSize()),
                        ByteSize.format(info.blockCount() * info.blockSize()),
                        info.blockCount(),
                        info.blockSize(),
                        info.arenaCount(),
                        info.laneCount(),
                        info.medium(),
                        info.afterKill(),
                        info.afterPowerCut(),
                        shellWord(path),
                        shellWord(NbdUri.tcp(ServeCommand.DEFAULT_ADDRESS, name)),
                        shellWord(name),
                        info.blockCount() * info.blockSize() % PAGE == 0 ? PAGE : SECTOR);
    }

    String json() {
        SequencedMap<String, Object> members = new LinkedHashMap<>();
        members.put("path", info.path());
        members.put("uuid", info.uuid());
        members.put("fileSize", info.fileSize());
        members.put("diskSize", info.blockCount() * info.blockSize());
        members.put("blockSize", info.blockSize());
        members.put("blockCount", info.blockCount());
        members.put("arenaCount", info.arenaCount());
        members.put("laneCount", info.laneCount());
        members.put("medium", info.medium());
        members.put("afterKill", info.afterKill());
        members.put("afterPowerCut", info.afterPowerCut());
        return Json.text(members);
    }

    private static String shellWord(String text) {
        return text.matches("[\\w@%+=:,./-]+") ? text : "'" + text.replace("'", "'\\''") + "'";
    }
}
