#!/bin/bash
# Discard, zero and flush as the kernel sends them; what reads back is compared by checksum.
set -euo pipefail
queue=/sys/block/${NBD#/dev/}/queue
grep . "$queue"/{logical_block_size,discard_granularity,discard_max_bytes,write_zeroes_max_bytes} \
    "$queue"/{write_cache,fua,rotational} /sys/block/"${NBD#/dev/}"/ro | sed 's|.*/||'
queues=(/sys/block/"${NBD#/dev/}"/mq/*)
echo "hardware queues: ${#queues[@]}"

sum() { # OFFSET-MB LENGTH-MB
    dd if="$NBD" iflag=direct bs=1M skip="$1" count="$2" status=none | sha256sum
}
zeros=$(head -c $((8 << 20)) /dev/zero | sha256sum)
head -c $((24 << 20)) /dev/urandom >/tmp/data
dd if=/tmp/data of="$NBD" oflag=direct bs=1M status=none
before=$(sum 0 8) after=$(sum 16 8)

blkdiscard -o 8M -l 8M "$NBD"
echo "discarded blocks read as $( [ "$(sum 8 8)" = "$zeros" ] && echo zeros || echo data)"
dd if=/tmp/data of="$NBD" oflag=direct bs=1M seek=8 count=8 skip=8 status=none
blkdiscard -z -o 8M -l 8M "$NBD"
[ "$(sum 8 8)" = "$zeros" ]
fallocate --zero-range --offset 12M --length 4096 "$NBD"
[ "$(sum 0 8)" = "$before" ] && [ "$(sum 16 8)" = "$after" ]
dd if=/dev/zero of="$NBD" bs=4k count=1 conv=fsync status=none      # FLUSH
dd if=/dev/zero of="$NBD" bs=4k count=1 oflag=direct,dsync status=none    # FUA
echo "discard, zero, flush: neighbours intact"
