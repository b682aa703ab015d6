#!/bin/bash
# xfs on the device: a tree of small files, read back cold, half of it deleted and trimmed, the rest
# read back cold again, the filesystem checked.
set -euo pipefail
mkdir -p /mnt/disk

mkfs.xfs -q -f "$NBD"
mount "$NBD" /mnt/disk
# One process for many files: starting one is slow under user-mode Linux.
for i in $(seq 20); do
    mkdir -p "/mnt/disk/$((i % 2))/$i"
    head -c $((i * 100000)) /dev/urandom |
        split --bytes=$((i * 1000)) --suffix-length=3 - "/mnt/disk/$((i % 2))/$i/"
done
(cd /mnt/disk && find . -type f -exec sha256sum {} +) >/tmp/sums
umount /mnt/disk
echo 3 >/proc/sys/vm/drop_caches

mount "$NBD" /mnt/disk
(cd /mnt/disk && sha256sum --quiet -c /tmp/sums)
echo "$(wc -l </tmp/sums) files read back"
rm -r /mnt/disk/1
fstrim -v /mnt/disk
grep ' \./0/' /tmp/sums >/tmp/kept
umount /mnt/disk
echo 3 >/proc/sys/vm/drop_caches

mount "$NBD" /mnt/disk
(cd /mnt/disk && sha256sum --quiet -c /tmp/kept)
echo "$(wc -l </tmp/kept) files read back after fstrim"
umount /mnt/disk

xfs_repair -n "$NBD"
