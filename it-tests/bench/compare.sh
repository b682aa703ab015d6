#!/usr/bin/env bash
# compare.sh - side-by-side benchmark of NBD servers.
#
# Starts this project's server, every peer found on this machine and every server
# given on the command line, runs the same cells against each of them in turn, round
# after round, and prints Markdown tables of medians and of ratios to the candidate.
# README.md tells how to read them.
# shellcheck disable=SC2086,SC1083 # addr_of holds two words; {pidfile} is a placeholder
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() {
  cat <<'U'
usage: compare.sh [options]
  --server NAME COMMAND      one more server to measure, beside pmemblk-nbd, which is
                             always measured; may be repeated.  In COMMAND, {sock}
                             stands for the unix socket path, {file} for a backing file
                             that does not yet exist, {size} for the size of the disk in
                             bytes, {mib} for the same in MiB, {pool} for the size of a
                             pool with room for such a disk, {port} for the TCP port,
                             {pidfile} for a file to which a server that goes into the
                             background writes its process id (others need not).
  --server-tcp NAME COMMAND  its command for TCP (needed only if it differs from COMMAND
                             in more than {sock} or {port})
  --export NAME EXPORT       the export of server NAME (default: the default export)
  --candidate NAME           the server that the others are compared with (default:
                             pmemblk-nbd)
  --peers LIST               comma-separated, from: nbdkit-file nbdkit-file-t1
                             nbdkit-memory nbdkit-memory-t1 qemu-nbd qemu-nbd-uring
                             nbd-server nbdkit-pmemblk nbdkit-pmemblk-t1 nbdfloor; 'all'
                             (default) takes those that are installed or can be built
                             here, 'none' takes none
  --transport LIST           unix, tcp or unix,tcp (default unix)
  --cells LIST|FILE          quick, full (default), disk (those of full that are for a file on a
                             disk), durable, whole (the time to trim, to zero and to ask
                             the status of a filled disk), none, or a file with lines of
                             NAME OP ORDER BS DEPTH CONNS [extra nbdload options]
  --rounds N                 counted rounds (default 5, after one that is not counted)
  --secs S --warmup S        per measurement (defaults 2 and 0.5)
  --size MIB                 size of each disk (default 1024)
  --dir DIR                  where the disks go (default: a new folder in /dev/shm)
  --copy                     also time nbdcopy from and to each server
  --copy-new                 also time nbdcopy to a new disk of a server that has just started
  --tls                      also time nbdcopy over TLS, on unix sockets, from and to those
                             servers that can, as it likes and with 16 requests of 4 KiB
                             and of 128 KiB in flight on one connection
  --startup                  also time start-up, pmemblk-nbd's with a pool that exists: from
                             exec to the first reply
  --out DIR                  keep raw results there (default: a new temporary folder)
  --keep-going               report a failed measurement and go on
U
  exit "${1:-2}"
}

declare -A cmd_unix cmd_tcp cmd_tls before_start export_of pid_of
servers=() all_peers=() candidate=pmemblk-nbd peers=all transports=unix cells=full rounds=5 secs=2 warmup=0.5
size_mib=1024 dir='' out='' copy=0 copy_new=0 tls=0 startup=0 keep=0
while (($#)); do
  case $1 in
    --server) servers+=("$2"); cmd_unix[$2]=$3; : "${cmd_tcp[$2]:=$3}"; shift 3 ;;
    --server-tcp) cmd_tcp[$2]=$3; shift 3 ;;
    --export) export_of[$2]=$3; shift 3 ;;
    --candidate) candidate=$2; shift 2 ;;
    --peers) peers=$2; shift 2 ;;
    --transport) transports=$2; shift 2 ;;
    --cells) cells=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --secs) secs=$2; shift 2 ;;
    --warmup) warmup=$2; shift 2 ;;
    --size) size_mib=$2; shift 2 ;;
    --dir) dir=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --copy) copy=1; shift ;;
    --copy-new) copy_new=1; shift ;;
    --tls) tls=1; shift ;;
    --startup) startup=1; shift ;;
    --keep-going) keep=1; shift ;;
    -h | --help) usage 0 ;;
    *) usage ;;
  esac
done

tmp=$(mktemp -d)
cc=${CC:-cc}
load=$tmp/nbdload
"$cc" -O2 -o "$load" "$here/nbdload.c" -lpthread
own_dir=
[[ -n $dir ]] || { dir=$(mktemp -d "$([[ -d /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/nbdcompare.XXXXXX"); own_dir=$dir; }
mkdir -p "$dir"
[[ -n $out ]] || out=$(mktemp -d)
mkdir -p "$out"
raw=$out/raw.txt
: >"$raw"

stop_all() {
  local n
  for n in "${!pid_of[@]}"; do
    kill "${pid_of[$n]}" 2>/dev/null || true
  done
  for n in "${!pid_of[@]}"; do
    wait "${pid_of[$n]}" 2>/dev/null || true
    while kill -0 "${pid_of[$n]}" 2>/dev/null; do sleep 0.1; done
  done
  pid_of=()
}
cleanup() {
  stop_all
  rm -rf "$tmp"
  [[ -z $own_dir ]] || rm -rf "$own_dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

have() { command -v "$1" >/dev/null 2>&1; }
((size = size_mib << 20))
# The largest request of at most 1 GiB that whole ones of make up the disk.
((parts = (size + (1 << 30) - 1) >> 30))
while ((size % parts)); do ((parts++)); done
((whole = size / parts))
# Map, flog and the blocks that no LBA names take less than a hundredth of a pool of 4096-byte
# blocks, but 256 blocks and some alignment at least.
((pool = size + size / 100 + (64 << 20)))

add_peer() { servers+=("$1"); all_peers+=("$1"); cmd_unix[$1]=$2; cmd_tcp[$1]=$3; }
ours=$(readlink -f "$here/../../nbd-server/bin/pmemblk-nbd")
"$ours" --version >&2 # builds it if need be, so that no start-up time is the build's
servers=(pmemblk-nbd "${servers[@]}")
cmd_unix[pmemblk-nbd]="exec $ours serve --create {pool} --unix {sock} {file}"
cmd_tcp[pmemblk-nbd]="exec $ours serve --create {pool} --listen 127.0.0.1:{port} {file}"
cmd_tls[pmemblk-nbd]="exec $ours serve --create {pool} --tls require --tls-certificates $tmp/tls --unix {sock} {file}"
before_start[pmemblk-nbd]="exec $ours create --size {pool} {file}"
want() { [[ $peers == all || ,$peers, == *,$1,* ]]; }
if [[ $peers != none ]]; then
  for t1 in '' -t1; do
    q="exec nbdkit -f ${t1:+-t 1}"
    if want "nbdkit-file$t1" && have nbdkit; then
      add_peer "nbdkit-file$t1" "truncate -s {size} {file} && $q -U {sock} file {file}" \
        "truncate -s {size} {file} && $q -i 127.0.0.1 -p {port} file {file}"
      cmd_tls[nbdkit-file$t1]="truncate -s {size} {file} && $q --tls=require --tls-certificates=$tmp/tls -U {sock} file {file}"
    fi
    if want "nbdkit-memory$t1" && have nbdkit; then
      add_peer "nbdkit-memory$t1" "$q -U {sock} memory {size}" "$q -i 127.0.0.1 -p {port} memory {size}"
      cmd_tls[nbdkit-memory$t1]="$q --tls=require --tls-certificates=$tmp/tls -U {sock} memory {size}"
    fi
  done
  if want qemu-nbd && have qemu-nbd; then
    q='truncate -s {size} {file} && exec qemu-nbd -f raw --persistent --shared=16 --cache=writeback --discard=unmap'
    add_peer qemu-nbd "$q -k {sock} {file}" "$q -b 127.0.0.1 -p {port} {file}"
    cmd_tls[qemu-nbd]="$q --object tls-creds-x509,id=tls,endpoint=server,verify-peer=no,dir=$tmp/tls --tls-creds tls -k {sock} {file}"
  fi
  if want qemu-nbd-uring && have qemu-nbd; then
    q='truncate -s {size} {file} && exec qemu-nbd -f raw --persistent --shared=16 --cache=writeback --discard=unmap --aio=io_uring'
    add_peer qemu-nbd-uring "$q -k {sock} {file}" "$q -b 127.0.0.1 -p {port} {file}"
    cmd_tls[qemu-nbd-uring]="$q --object tls-creds-x509,id=tls,endpoint=server,verify-peer=no,dir=$tmp/tls --tls-creds tls -k {sock} {file}"
  fi
  if want nbd-server && have nbd-server; then
    q='truncate -s {size} {file} && printf "[generic]\nallowlist = true\nLISTEN\n[disk]\nexportname = {file}\nflush = true\nfua = true\ntrim = true\n" >{file}.conf && nbd-server -C {file}.conf -p {pidfile}'
    add_peer nbd-server "${q/LISTEN/unixsock = {sock\}}" "${q/LISTEN/listenaddr = 127.0.0.1\\nport = {port\}}"
    export_of[nbd-server]=disk
  fi
  plugin=$tmp/nbdkit-pmemblk-plugin.so
  if { want nbdkit-pmemblk || want nbdkit-pmemblk-t1; } && have nbdkit &&
    "$cc" -O2 -fPIC -shared -o "$plugin" "$here/nbdkit-pmemblk.c" -lpmemblk 2>"$tmp/err"; then
    # In memory, msync would do nothing but cost time; on a disk it is what makes a write durable.
    force=
    [[ $(stat --file-system --format=%T "$dir") != tmpfs ]] || force='export PMEM_IS_PMEM_FORCE=1; '
    for t1 in '' -t1; do
      want "nbdkit-pmemblk$t1" || continue
      q="${force}truncate -s {pool} {file} && exec nbdkit -f ${t1:+-t 1}"
      add_peer "nbdkit-pmemblk$t1" "$q -U {sock} $plugin file={file} create=1" \
        "$q -i 127.0.0.1 -p {port} $plugin file={file} create=1"
    done
  fi
  if want nbdfloor; then
    "$cc" -O2 -o "$tmp/nbdfloor" "$here/nbdfloor.c" -lpthread
    add_peer nbdfloor "exec $tmp/nbdfloor unix {sock} {file} {mib}" "exec $tmp/nbdfloor tcp {port} {file} {mib}"
  fi
fi
[[ -n ${cmd_unix[$candidate]:-} ]] || { echo "compare.sh: no server $candidate to compare with" >&2; exit 1; }

# NAME OP ORDER BS DEPTH CONNS [options]
quick_cells='
randread-4k-q1 read rand 4k 1 1
randwrite-4k-q1 write rand 4k 1 1
randread-4k-q16 read rand 4k 16 1
randwrite-4k-q16 write rand 4k 16 1
mix70-4k-q64 mix rand 4k 64 1
seqread-128k-q16 read seq 128k 16 1
seqwrite-128k-q16 write seq 128k 16 1
'
full_cells='
randread-4k-q1 read rand 4k 1 1
randwrite-4k-q1 write rand 4k 1 1
mix70-4k-q1 mix rand 4k 1 1
randread-4k-q16 read rand 4k 16 1
randwrite-4k-q16 write rand 4k 16 1
mix70-4k-q16 mix rand 4k 16 1
randread-4k-q64 read rand 4k 64 1
randwrite-4k-q64 write rand 4k 64 1
mix70-4k-q64 mix rand 4k 64 1
randread-4k-q1x4 read rand 4k 1 4
randwrite-4k-q1x4 write rand 4k 1 4
mix70-4k-q1x4 mix rand 4k 1 4
randread-4k-q16x4 read rand 4k 16 4
randwrite-4k-q16x4 write rand 4k 16 4
mix70-4k-q16x4 mix rand 4k 16 4
randread-4k-q64x4 read rand 4k 64 4
randwrite-4k-q64x4 write rand 4k 64 4
mix70-4k-q64x4 mix rand 4k 64 4
seqread-128k-q16 read seq 128k 16 1
seqwrite-128k-q16 write seq 128k 16 1
seqread-1m-q16 read seq 1m 16 1
seqwrite-1m-q16 write seq 1m 16 1
'
disk_cells=$(grep -v -- '-q1[ x]\|-1m-' <<<"$full_cells")
durable_cells='
fua-4k-q1 write rand 4k 1 1 --fua
fua-4k-q16 write rand 4k 16 1 --fua
write-flush write rand 4k 1 1 --flush-every 1
256-writes-flush write rand 4k 16 1 --flush-every 256
'
whole_cells='
whole-trim trim seq whole 1 1 --once
whole-zero zero seq whole 1 1 --once
whole-status status seq whole 1 1 --once
'
case $cells in
  whole) cell_list=$whole_cells ;;
  durable) cell_list=$durable_cells ;;
  quick) cell_list=$quick_cells ;;
  disk) cell_list=$disk_cells ;;
  none) cell_list='' ;;
  full) cell_list=$full_cells ;;
  *) cell_list=$(cat "$cells") ;;
esac
mapfile -t cell_lines < <(grep -v '^ *\(#.*\)\?$' <<<"$cell_list" || true)

expand() { # COMMAND SOCK FILE PORT PIDFILE
  local s=$1
  s=${s//\{pidfile\}/$5}
  s=${s//\{sock\}/$2} s=${s//\{file\}/$3} s=${s//\{port\}/$4}
  s=${s//\{size\}/$size} s=${s//\{mib\}/$size_mib} s=${s//\{pool\}/$pool}
  printf '%s' "$s"
}
port_of() { # a free TCP port, different for each server
  local p=$((21000 + RANDOM % 20000))
  while (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; do p=$((p + 1)); done
  echo "$p"
}

declare -A addr_of
uri_of() { # TRANSPORT SERVER
  local name=${export_of[$2]:-}
  case $1 in
    unix) echo "nbd+unix:///$name?socket=$tmp/$2.sock" ;;
    tls) echo "nbds+unix://localhost/$name?socket=$tmp/$2.sock&tls-certificates=$tmp/tls" ;;
    *) echo "nbd://${addr_of[$2]#--tcp }/$name" ;;
  esac
}
answers() { # TRANSPORT SERVER
  if [[ $1 == tls ]]; then
    nbdinfo --size "$(uri_of "$1" "$2")"
  else
    "$load" ${addr_of[$2]} --export "${export_of[$2]:-}" --op read --secs 0.01 --warmup 0
  fi >/dev/null 2>&1
}
# Fills a disk, so that the server reads no holes.
fill() { # TRANSPORT SERVER
  if [[ $1 == tls ]]; then
    nbdcopy "$(source_file)" "$(uri_of "$1" "$2")"
  else
    "$load" ${addr_of[$2]} --export "${export_of[$2]:-}" --op write --once --check --bs 64k --depth 8 >/dev/null
  fi
}
cpu_of() { awk '{print $14 + $15}' "/proc/${pid_of[$1]}/stat"; } # SERVER; hundredths of a second
# Has a server do what it has put off, lest it do so while the next one is measured: it is told to
# flush, and waited for until it has had nothing to do for half a second, a minute at most.
settle() { # SERVER
  local before now i
  [[ $(stat --file-system --format=%T "$dir") == tmpfs ]] ||
    "$load" ${addr_of[$1]} --export "${export_of[$1]:-}" --op flush --secs 0.01 --warmup 0 >/dev/null 2>&1 || true
  now=$(cpu_of "$1")
  for ((i = 0; i < 120; i++)); do
    before=$now
    sleep 0.5
    now=$(cpu_of "$1")
    ((now > before + 1)) || break
  done
}
source_file() {
  # A run with disks of another size may have left one in the same folder.
  [[ $(stat --format=%s "$dir/source.bin" 2>/dev/null) == "$size" ]] || head -c "$size" /dev/urandom >"$dir/source.bin"
  echo "$dir/source.bin"
}
# Starts a server with a new disk.
start() { # TRANSPORT SERVER
  local t=$1 n=$2 c i
  local sock=$tmp/$n.sock port file=$dir/$n.disk
  port=$(port_of)
  rm -f "$sock" "$file" "$tmp/$n.pid"
  addr_of[$n]="--unix $sock"
  case $t in
    unix) c=${cmd_unix[$n]} ;;
    tls) c=${cmd_tls[$n]} ;;
    *) c=${cmd_tcp[$n]} addr_of[$n]="--tcp 127.0.0.1:$port" ;;
  esac
  bash -c "$(expand "$c" "$sock" "$file" "$port" "$tmp/$n.pid")" >"$out/$n.$t.log" 2>&1 &
  pid_of[$n]=$!
  for ((i = 0; i < 300; i++)); do
    ! answers "$t" "$n" || break
    [[ ! -s $tmp/$n.pid ]] || pid_of[$n]=$(<"$tmp/$n.pid")
    kill -0 "${pid_of[$n]}" 2>/dev/null || [[ ${cmd_unix[$n]} == *{pidfile}* ]] || { echo "compare.sh: $n did not start; see $out/$n.$t.log" >&2; exit 1; }
    sleep 0.1
  done
  [[ ! -s $tmp/$n.pid ]] || pid_of[$n]=$(<"$tmp/$n.pid")
}
start_all() { # TRANSPORT
  local n
  for n in "${servers[@]}"; do
    start "$1" "$n"
    fill "$1" "$n"
  done
}

rotate() { # N: prints the servers, starting at the Nth
  local i k=${#servers[@]}
  for ((i = 0; i < k; i++)); do echo "${servers[($1 + i) % k]}"; done
}

time_copy() { # TRANSPORT ROUND SERVER CELL
  local b e options=()
  case $4 in
    *-4k-q16) options=(--connections=1 --requests=16 --request-size=4096) ;;
    *-128k-q16) options=(--connections=1 --requests=16 --request-size=131072) ;;
  esac
  b=$(date +%s%N)
  if [[ $4 == copy-from* ]]; then
    nbdcopy "${options[@]}" "$(uri_of "$1" "$3")" null:
  else
    nbdcopy "${options[@]}" "$dir/source.bin" "$(uri_of "$1" "$3")"
  fi
  e=$(date +%s%N)
  echo "transport=$1 round=$2 cell=$4 label=$3 $(awk -v d=$((e - b)) -v m="$size_mib" 'BEGIN{printf "bs=262144 depth=64 conns=4 iops=0 mib_s=%.1f p50_us=0 p99_us=0 p999_us=0 server_us_op=0 client_us_op=0 client_busy=0", m / (d / 1e9)}')" >>"$raw"
}
time_copies() { # TRANSPORT ROUND
  local n suffix suffixes=('')
  [[ $1 != tls ]] || suffixes+=(-4k-q16 -128k-q16) # which nbdload cannot do
  for suffix in "${suffixes[@]}"; do
    for n in $(rotate "$2"); do
      time_copy "$1" "$2" "$n" "copy-from$suffix"
      time_copy "$1" "$2" "$n" "copy-to$suffix"
      settle "$n"
    done
  done
}

cpu_total() { awk '/^cpu /{t=0; for(i=2;i<=9;i++) t+=$i; print t, $9}' /proc/stat; }
read -r j0 s0 < <(cpu_total)
loads=$(cut -d' ' -f1 /proc/loadavg)
IFS=, read -ra tlist <<<"$transports"
for t in "${tlist[@]}"; do
  start_all "$t"
  for ((r = 0; r <= rounds; r++)); do
    k=$r
    for line in "${cell_lines[@]}"; do
      read -r name op order bs depth conns extra <<<"$line"
      k=$((k + 1))
      for n in $(rotate "$k"); do
        w=$warmup s=$secs
        ((r)) || s=1
        opts=(--op "$op" --bs "${bs/whole/4k}" --depth "$depth" --conns "$conns" --secs "$s" --warmup "$w" --seed "$((r + 1))" --pid "${pid_of[$n]}" --label "$n")
        [[ $order != seq ]] || opts+=(--seq)
        [[ $bs != whole ]] || opts+=(--bs "$whole" --region "$size")
        if res=$("$load" ${addr_of[$n]} --export "${export_of[$n]:-}" "${opts[@]}" $extra 2>"$tmp/err"); then
          echo "transport=$t round=$r cell=$name $res" >>"$raw"
        else
          echo "compare.sh: $n $name failed: $(cat "$tmp/err")" >&2
          [[ $bs == whole ]] || ((keep)) || exit 1 # not every server can do all of these
        fi
        [[ $op != trim && $op != zero ]] || fill "$t" "$n"
        settle "$n"
      done
    done
    if ((copy)); then
      source_file >/dev/null
      time_copies "$t" "$r"
    fi
    echo "compare.sh: $t round $r of $rounds done, load $(cut -d' ' -f1 /proc/loadavg)" >&2
  done
  stop_all
  if ((copy_new)); then
    source_file >/dev/null
    for ((r = 0; r <= rounds; r++)); do
      for n in $(rotate "$r"); do
        start "$t" "$n"
        time_copy "$t" "$r" "$n" copy-new
        stop_all
        rm -f "$dir/$n.disk"
        sync
      done
    done
  fi
  if ((startup)); then
    for ((r = 1; r <= rounds; r++)); do
      for n in $(rotate "$r"); do
        [[ ${cmd_unix[$n]} != *{pidfile}* ]] || continue
        sock=$tmp/$n.sock port=$(port_of) file=$dir/$n.start
        rm -f "$sock" "$file"
        bash -c "$(expand "${before_start[$n]:-}" "$sock" "$file" "$port" "$tmp/$n.pid")"
        if [[ $t == unix ]]; then c=${cmd_unix[$n]} a="--unix $sock"; else c=${cmd_tcp[$n]} a="--tcp 127.0.0.1:$port"; fi
        res=$("$load" $a --export "${export_of[$n]:-}" --label "$n" --spawn "$(expand "$c" "$sock" "$file" "$port" "$tmp/$n.pid")" 2>>"$out/$n.start.log") &&
          echo "transport=$t round=$r start=1 $res" >>"$raw"
        rm -f "$file"
      done
    done
  fi
done
if ((tls)); then
  "$ours" tls-init "$tmp/tls" >&2
  every=("${servers[@]}") servers=()
  for n in "${every[@]}"; do
    [[ -z ${cmd_tls[$n]:-} ]] || servers+=("$n")
  done
  start_all tls
  for ((r = 0; r <= rounds; r++)); do
    time_copies tls "$r"
    echo "compare.sh: tls round $r of $rounds done, load $(cut -d' ' -f1 /proc/loadavg)" >&2
  done
  stop_all
  servers=("${every[@]}") tlist+=(tls)
fi
read -r j1 s1 < <(cpu_total)
loade=$(cut -d' ' -f1 /proc/loadavg)

cat <<H
# NBD servers side by side

$(uname -sr), $(nproc) CPUs ($(awk -F: '/model name/{gsub(/^ +/,"",$2); print $2; exit}' /proc/cpuinfo)), $(awk '/MemTotal/{printf "%.0f", $2/1048576}' /proc/meminfo) GiB. \
Disk of $size_mib MiB each, $rounds rounds of $secs s per cell, servers interleaved, medians. \
pmemblk-nbd of $(git -C "$here" describe --always --dirty 2>/dev/null || echo 'no commit'). \
Load average $loads before and $loade after; CPU time taken by the host (steal): $(awk -v a=$((s1 - s0)) -v b=$((j1 - j0)) 'BEGIN{printf "%.1f %%", b ? 100 * a / b : 0}'). \
Ratios are medians of the per-round ratio of the candidate (\`$candidate\`) to the server: above 1.00 the candidate does more.
H
awk -v cand="$candidate" -v names="${servers[*]}" -v peers="${all_peers[*]}" -v tl="${tlist[*]}" '
function get(k,   i) { if (k == "ms") return get("ops") * get("mean_us") / 1000; for (i = 1; i <= NF; i++) if (index($i, k "=") == 1) return substr($i, length(k) + 2); return "" }
function median(s,   a, n, i, j, x) {
  n = split(s, a, " "); if (!n) return ""
  for (i = 2; i <= n; i++) { x = a[i] + 0; for (j = i - 1; j >= 1 && a[j] + 0 > x; j--) a[j + 1] = a[j]; a[j + 1] = x }
  return n % 2 ? a[(n + 1) / 2] + 0 : (a[n / 2] + a[n / 2 + 1]) / 2
}
function human(x) { return x == "" ? "-" : x >= 100 ? sprintf("%.0f", x) : x >= 10 ? sprintf("%.1f", x) : x >= 1 ? sprintf("%.2f", x) : sprintf("%.3f", x) }
function col(t, c, n, f) { return median(v[t, c, n, f]) }
function ratio(t, c, n, f,   r, s) {
  s = ""
  for (r = 1; r <= maxr; r++) if (((t, c, n, f, r) in one) && ((t, c, cand, f, r) in one) && one[t, c, n, f, r] + 0 > 0)
    s = s " " one[t, c, cand, f, r] / one[t, c, n, f, r]
  return median(s)
}
{
  t = get("transport"); r = get("round"); n = get("label"); c = get("cell")
  if (get("start") == "1") { c = "start"; fl = "ready_ms first_reply_ms cpu_ms rss_kib" } else fl = "iops mib_s p50_us p99_us p999_us server_us_op client_us_op client_busy ms"
  if (r == 0) next
  if (r + 0 > maxr) maxr = r + 0
  if (!((t, c) in seen)) { seen[t, c] = 1; order[t] = order[t] " " c; big[c] = get("bs") + 0 >= 65536 }
  k = split(fl, ff, " ")
  for (i = 1; i <= k; i++) { v[t, c, n, ff[i]] = v[t, c, n, ff[i]] " " get(ff[i]); one[t, c, n, ff[i], r] = get(ff[i]) }
}
function shown(c, f) {
  if (c == "start") return 0
  if (c ~ /^copy-/) return f == "rate"
  if (c ~ /^whole-/) return f == "ms" || f == "server_us_op"
  return f != "ms"
}
function table(t, title, f, withratio,   i, j, x, cc, nc, g) {
  nc = split(order[t], cc, " ")
  for (j = 1; j <= nc && !shown(cc[j], f); j++);
  if (j > nc) return
  print "\n## " title ", " t "\n"
  printf "| cell |"; for (i = 1; i <= ns; i++) { printf " %s |", sv[i]; if (withratio && sv[i] != cand) printf " ratio |" } print ""
  printf "|---|"; for (i = 1; i <= ns; i++) { printf "---:|"; if (withratio && sv[i] != cand) printf "---:|" } print ""
  for (j = 1; j <= nc; j++) {
    if (!shown(cc[j], f)) continue
    g = f; if (f == "rate") g = big[cc[j]] ? "mib_s" : "iops"
    printf "| %s%s |", cc[j], f == "rate" ? (big[cc[j]] ? " MiB/s" : " IOPS") : ""
    for (i = 1; i <= ns; i++) { printf " %s |", human(col(t, cc[j], sv[i], g)); if (withratio && sv[i] != cand) { x = ratio(t, cc[j], sv[i], g); printf " %s |", x == "" ? "-" : sprintf("%.2f", x) } }
    print ""
  }
}
# Of each cell the peer that the candidate has the lowest ratio to; nbdfloor is none.
function summary(t,   i, j, x, cc, nc, g, best, least, rows) {
  nc = split(order[t], cc, " ")
  for (j = 1; j <= nc; j++) {
    if (!shown(cc[j], "rate")) continue
    best = least = ""; g = big[cc[j]] ? "mib_s" : "iops"
    for (i = 1; i <= np; i++) {
      x = pv[i] == "nbdfloor" ? "" : ratio(t, cc[j], pv[i], g)
      if (x != "" && (least == "" || x < least)) { least = x; best = pv[i] }
    }
    x = ratio(t, cc[j], "nbdfloor", g)
    if (best != "") rows = rows sprintf("| %s | %s | %.2f | %s |\n", cc[j], best, least, x == "" ? "-" : sprintf("%.2f", x))
  }
  if (rows != "") printf "\n## Beside the best peer, %s\n\n| cell | best peer | ratio | ratio to nbdfloor |\n|---|---|---:|---:|\n%s", t, rows
}
END {
  ns = split(names, sv, " "); np = split(peers, pv, " "); nt = split(tl, tt, " ")
  for (a = 1; a <= nt; a++) {
    t = tt[a]
    summary(t)
    table(t, "Throughput", "rate", 1)
    table(t, "Whole disk (ms; a ratio below 1.00 favours the candidate)", "ms", 1)
    table(t, "Server CPU time per request (us; a ratio below 1.00 favours the candidate)", "server_us_op", 1)
    table(t, "Latency p50 (us; a ratio below 1.00 favours the candidate)", "p50_us", 1)
    table(t, "Latency p99 (us)", "p99_us", 0)
    table(t, "Latency p99.9 (us)", "p999_us", 0)
    table(t, "Client: share of one CPU in use (near 1.00 the client is the limit)", "client_busy", 0)
    if ((t, "start") in seen) {
      print "\n## Start-up, " t "\n\n| server | handshake done (ms) | first read reply (ms) | CPU time (ms) | peak memory (MiB) |\n|---|---:|---:|---:|---:|"
      for (i = 1; i <= ns; i++) printf "| %s | %s | %s | %s | %s |\n", sv[i], human(col(t, "start", sv[i], "ready_ms")), human(col(t, "start", sv[i], "first_reply_ms")), human(col(t, "start", sv[i], "cpu_ms")), human(col(t, "start", sv[i], "rss_kib") / 1024)
    }
  }
}' "$raw"
echo
echo "Raw results: $raw" >&2
