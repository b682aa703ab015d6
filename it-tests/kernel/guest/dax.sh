#!/bin/bash
# dax.sh PROGRAM [KILLS]: a pool on persistent memory, mapped with DAX, under a server of the guest's
# own: what PROGRAM (pmemblk-nbd, by its path in the shared directory) says of it, that it makes no
# sync, and that a kill in mid-write loses no replied write and tears no block. Wants --pmem 256.
set -euo pipefail
program=$SHARE/$1 kills=${2:-2}
pool=/mnt/dax/disk.pool
blocks=1024 block_size=4096
uri='nbd+unix:///disk?socket=/run/dax.sock'
fail() { echo "dax.sh: $*"; exit 1; }
[ -x "$program" ] || fail "--share has no $1"

mkfs.ext4 -q -b 4096 /dev/pmem0
mkdir /mnt/dax
mount -o dax=always /dev/pmem0 /mnt/dax
"$program" create --size 32M $pool
"$program" info $pool
"$program" info --json $pool >/run/info
grep -qi dax /run/info || fail "the pool is not mapped with DAX"

start() { # PREFIX...: under which program the server runs
    rm -f /run/dax.sock /run/uri
    "$@" "$program" serve --unix /run/dax.sock $pool >/run/uri 2>/run/log &
    server=$!
    until grep -qs nbd /run/uri; do
        kill -0 $server || { cat /run/log; fail "the server ended"; }
        sleep 0.2
    done
}
fill() { # BYTE [PATTERN-FILE]: all blocks, in order, some in flight at once
    perl -e 'print chr($ARGV[0]) x $ARGV[1]' "$1" $((blocks * block_size)) >/run/pattern
    nbdcopy --requests=16 --connections=1 --request-size=$block_size /run/pattern "$uri"
}

start strace -D -f --seccomp-bpf --signal=none -o /run/trace -e trace=execve,/sync
for byte in 1 2; do fill $byte; nbdsh -u "$uri" -c 'h.flush()'; done
kill $server
wait $server || fail "SIGTERM ended the server with $?"
# As the launcher it was started, as Java it served, and its trace is whole, perhaps a little later.
timeout 60 bash -c "until grep -q '^$server  *+++ exited with 0 +++$' /run/trace; do sleep 0.2; done" ||
    fail "the trace ends before the server"
grep -q "^$server  *execve(\"[^\"]*/java\".* = 0$" /run/trace || fail "this is no trace of a server"
if grep -E 'msync|fdatasync|fsync' /run/trace; then fail "a pool on DAX needs no sync"; fi
echo "no sync in $((2 * blocks)) writes and 2 flushes"

byte=2
for kill in $(seq "$kills"); do
    start
    # The hand that kills is there before the first write, or all would be over when it comes.
    rm -f /run/ready
    nbdsh -u "$uri" -c "
import os
open('/run/ready', 'w').close()
while h.pread(1, $(((kill * blocks / (kills + 1)) * block_size)))[0] == $byte: pass
os.kill($server, 9)" 2>/dev/null &
    hand=$!
    until [ -e /run/ready ]; do sleep 0.1; done
    fill $((byte + 1)) 2>/dev/null || true
    wait $server $hand || true
    start
    nbdcopy "$uri" /run/found
    # In order, at most 16 in flight: whole blocks, new ones and then old ones but for those 16.
    perl -e 'my ($old, $size, $blocks, $kill) = @ARGV; my ($new, $last) = (0, -1); local $/ = \$size; my $n = 0;
             open F, "<", "/run/found"; while (<F>) { last if $n == $blocks;
               my $byte = ord; $_ eq chr($byte) x $size or die "block $n is torn\n";
               $byte == $old || $byte == $old + 1 or die "block $n holds $byte\n";
               if ($byte == $old + 1) { $new++; $last = $n } $n++ }
             $last + 1 - $new <= 16 or die "lost: $new new blocks, the last is $last\n";
             $new > 0 or die "lost: all blocks are old\n";
             $new < $n or die "the kill came late: this shows nothing\n";
             print "kill $kill: $new of $n blocks new, none torn\n"' $byte $block_size $blocks "$kill" ||
        fail "see above"
    fill $((byte += 1))
    kill $server
    wait $server || fail "SIGTERM ended the server with $?"
    verdict=$(pmempool check -v $pool | tail -n 1) || fail "pmempool check: $verdict"
    [ "$verdict" = "$pool: consistent" ] || fail "pmempool check: $verdict"
    echo "$verdict"
done
umount /mnt/dax
echo "DAX works"
