#!/bin/bash
# Attaches the export in TLS, which nbd-client carries between the kernel and the server, and writes
# and reads it back cold. For with-kernel-nbd --no-attach --share DIR, with a client's certificates.
set -euo pipefail

timeout 60 nbd-client "$NBD_HOST" "$NBD_PORT" "$NBD" -N "$NBD_EXPORT" -tlshostname localhost \
    -cacertfile "$SHARE/ca-cert.pem" -certfile "$SHARE/client-cert.pem" \
    -keyfile "$SHARE/client-key.pem"
until [ "$(blockdev --getsize64 "$NBD")" -gt 0 ]; do sleep 0.1; done
head -c $((64 << 20)) /dev/urandom >/tmp/written
dd if=/tmp/written of="$NBD" bs=1M oflag=direct conv=fsync status=none
echo 3 >/proc/sys/vm/drop_caches
cmp -n $((64 << 20)) /tmp/written "$NBD"
echo "64 MiB read back in TLS"
nbd-client -d "$NBD"
