#!/usr/bin/env bash
# curves.sh - how the cost of pmemblk-nbd grows with the size of its pool, with depth, connections,
# request size and block size, and with what of a file is not cached.
#
# Starts pmemblk-nbd, loads it, and writes a table and a plot for each curve. README.md tells what
# they are of.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
all=pool-size,depth,connections,request-size,block-size,cached,open,open-file
usage() {
  cat <<U
usage: curves.sh --out DIR [options]
  --out DIR      where the report goes: curves.md, NAME.tsv and, with gnuplot, NAME.svg
  --curves LIST  comma-separated, from: $all (all by default), and time
  --secs S       per measurement (default 2)
  --minutes N    of the curve time, for each of its two pools (default 10)
  --quick        0.3 seconds per measurement, and hardly any warming up
  --dir DIR      where the pools go (default: a new folder in /dev/shm)
  --disk DIR     where those go that shall lie on a disk (default: a new folder in the build's)
U
  exit "${1:-2}"
}

out='' curves=$all minutes=10 secs=2 warmup=0.5 heat=3 dir='' disk=''
while (($#)); do
  case $1 in
    --out) out=$2; shift 2 ;;
    --curves) curves=$2; shift 2 ;;
    --secs) secs=$2; shift 2 ;;
    --minutes) minutes=$2; shift 2 ;;
    --quick) secs=0.3 warmup=0.1 heat=0.3; shift ;;
    --dir) dir=$2; shift 2 ;;
    --disk) disk=$2; shift 2 ;;
    -h | --help) usage 0 ;;
    *) usage ;;
  esac
done
[[ -n $out ]] || usage
for c in ${curves//,/ }; do
  [[ ,$all,time, == *,$c,* ]] || usage
done
mkdir -p "$out"

tmp=$(mktemp -d)
load=$tmp/nbdload
sock=$tmp/nbd.sock
"${CC:-cc}" -O2 -o "$load" "$here/nbdload.c" -lpthread
ours=$(readlink -f "$here/../../nbd-server/bin/pmemblk-nbd")
"$ours" --version >&2 # builds it if need be
own=()
[[ -n $dir ]] || { dir=$(mktemp -d /dev/shm/nbdcurves.XXXXXX); own+=("$dir"); }
[[ -n $disk ]] || { disk=$(mktemp -d "$here/../../nbd-server/target/nbdcurves.XXXXXX"); own+=("$disk"); }
mkdir -p "$dir" "$disk"
ulimit -n 4096 # a thousand connections

server=
stop() {
  [[ -n $server ]] || return 0
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
}
cleanup() {
  stop
  rm -rf "$tmp" "${own[@]}"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

note() { echo "curves.sh: $*" >&2; }
field() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p"; }

# ---- pools and servers ------------------------------------------------------------------------

make_pool() { # SIZE FILE [BLOCK_SIZE]
  rm -f "$2"
  "$ours" create --size "$1" --block-size "${3:-4096}" "$2"
}

# A pool of which only what is written takes space: a small one loses its space, and grows.
make_sparse_pool() { # SIZE FILE
  rm -f "$2"
  make_pool 64M "$tmp/small.pool"
  cp --sparse=always "$tmp/small.pool" "$2"
  rm "$tmp/small.pool"
  [[ $1 == 64M ]] || "$ours" grow --size "$1" "$2" >&2
}

serve() { # POOL
  rm -f "$sock"
  "$ours" serve --unix "$sock" "$1" >"$out/server.log" 2>&1 &
  server=$!
  local i
  for ((i = 0; i < 600; i++)); do
    ! "$load" --unix "$sock" --secs 0.01 --warmup 0 >/dev/null 2>&1 || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  note "the server did not start; see $out/server.log"
  exit 1
}

fill() { "$load" --unix "$sock" --op write --once --bs 64k --depth 8 "$@" >/dev/null; }

# Has the JVM compile its hot code.
warm_up() { "$load" --unix "$sock" --op mix --depth 16 --region 16m --secs "$heat" --warmup 0 >/dev/null; }

run() { # OP BS DEPTH CONNS [nbdload options]
  "$load" --unix "$sock" --op "$1" --bs "$2" --depth "$3" --conns "$4" --secs "$secs" \
    --warmup "$warmup" --seed "$RANDOM" "${@:5}"
}
iops() { run "$@" | field iops || echo -; }
mib_s() { run "$@" | field mib_s || echo -; }

# ---- the report -------------------------------------------------------------------------------

begin() { # NAME TITLE X-AXIS Y-AXIS SERIES...
  name=$1 title=$2 x=$3 y=$4
  shift 4
  note "$title"
  row "$x" "$@" >"$out/$name.tsv"
}
row() { local IFS=$'\t'; printf '%s\n' "$*"; }
point() { row "$@" >>"$out/$name.tsv"; } # X VALUE...

end() {
  {
    printf '\n## %s\n\n%s; first column: %s.\n\n' "$title" "$y" "$x"
    awk -F'\t' '{
      printf "|"; for (i = 1; i <= NF; i++) printf " %s |", $i; print ""
      if (NR == 1) { printf "|---|"; for (i = 2; i <= NF; i++) printf "---:|"; print "" }
    }' "$out/$name.tsv"
    if command -v gnuplot >/dev/null; then
      plot
      printf '\n![%s](%s.svg)\n' "$title" "$name"
    fi
  } >>"$out/curves.md"
}
plot() {
  gnuplot <<G
set terminal svg size 720,400 background 'white'
set output '$out/$name.svg'
set datafile separator tab
set datafile missing '-'
set title '$title'
set xlabel '$x'
set ylabel '$y'
set yrange [0:*]
set offsets 0.2, 0.2, 0, 0
set key outside
set grid
n = $(awk -F'\t' 'NR == 1 { print NF }' "$out/$name.tsv")
plot for [i = 2:n] '$out/$name.tsv' using 0:i:xtic(1) with linespoints title columnheader(i)
G
}

# ---- the curves -------------------------------------------------------------------------------

sizes=(64M 1G 16G 128G 1T)
# Evenly spread; in a large pool each has a page of the map to itself.
spots=(--spots 65536)
hot=(--region 16m)

curve_pool_size() {
  begin pool-size "4 KiB requests against pool size" "pool" "IOPS, depth 16" \
    "read, spread" "write, spread" "read, 16 MiB" "write, 16 MiB"
  local s f=$dir/size.pool
  for s in "${sizes[@]}"; do
    make_sparse_pool "$s" "$f"
    serve "$f"
    fill "${hot[@]}"
    fill --bs 4k "${spots[@]}"
    warm_up
    point "$s" "$(iops read 4k 16 1 "${spots[@]}")" "$(iops write 4k 16 1 "${spots[@]}")" \
      "$(iops read 4k 16 1 "${hot[@]}")" "$(iops write 4k 16 1 "${hot[@]}")"
    stop
    rm "$f"
  done
  end
}

serve_filled() { # FILE SIZE [BLOCK_SIZE]
  make_pool "$2" "$1" "${3:-4096}"
  serve "$1"
  fill
  warm_up
}
drop() { # FILE
  stop
  rm "$1"
}

curve_depth() {
  begin depth "4 KiB requests against depth" "requests in flight" "IOPS" read write
  serve_filled "$dir/disk.pool" 1G
  local d
  for d in 1 4 16 64 256; do
    point "$d" "$(iops read 4k "$d" 1)" "$(iops write 4k "$d" 1)"
  done
  drop "$dir/disk.pool"
  end
}

curve_connections() {
  begin connections "4 KiB requests against connections" "connections" "IOPS, depth 1 on each" read write
  serve_filled "$dir/disk.pool" 1G
  local n
  for n in 1 4 16 64 256 1000; do
    point "$n" "$(iops read 4k 1 "$n")" "$(iops write 4k 1 "$n")"
  done
  drop "$dir/disk.pool"
  end
}

curve_request_size() {
  begin request-size "Throughput against request size" "request" "MiB/s, depth 4, random" read write
  serve_filled "$dir/disk.pool" 1G
  local b
  for b in 512 4k 32k 128k 1m 8m 32m; do
    point "$b" "$(mib_s read "$b" 4 1)" "$(mib_s write "$b" 4 1)"
  done
  drop "$dir/disk.pool"
  end
}

curve_block_size() {
  begin block-size "Throughput against block size" "block of the pool" "MiB/s, depth 16" \
    "read 4 KiB" "write 4 KiB" "read 64 KiB" "write 64 KiB"
  local b
  for b in 512 1024 4096 16384 65536; do
    serve_filled "$dir/disk.pool" 512M "$b"
    point "$b" "$(mib_s read 4k 16 1)" "$(mib_s write 4k 16 1)" \
      "$(mib_s read 64k 16 1)" "$(mib_s write 64k 16 1)"
    drop "$dir/disk.pool"
  done
  end
}

# Has just the first so many per cent of a file cached.
cache_share() { # PERCENT FILE
  sync --data "$2"
  dd if="$2" iflag=nocache count=0 status=none
  head --bytes=$(($(stat --format=%s "$2") * $1 / 100)) "$2" >/dev/null
}

curve_cached() {
  begin cached "4 KiB requests against what of a file is cached" "cached %" "IOPS, depth 16" read write
  local f=$disk/disk.pool c r w
  serve_filled "$f" 1G
  for c in 100 75 50 0; do
    cache_share "$c" "$f"
    r=$(iops read 4k 16 1 --warmup 0)
    cache_share "$c" "$f"
    w=$(iops write 4k 16 1 --warmup 0)
    point "$c" "$r" "$w"
  done
  drop "$f"
  end
}

start_ms() { "$load" --unix "$sock" --spawn "exec $ours serve --unix $sock $1" --timeout 120 2>>"$out/server.log" | field first_reply_ms || echo -; } # POOL

kill_in_writes() { # POOL SPOTS
  serve "$1"
  "$load" --unix "$sock" --op write --depth 16 --spots "$2" --secs 30 >/dev/null 2>&1 &
  local writer=$!
  sleep 0.7
  kill -KILL "$server"
  wait "$server" "$writer" 2>/dev/null || true
  server=
}

check_ms() { # POOL
  local b e
  b=$(date +%s%N)
  "$ours" check "$1" >/dev/null || { echo -; return; }
  e=$(date +%s%N)
  echo $(((e - b) / 1000000))
}

time_opens() { # FILE SPOTS
  local s open recover
  for s in "${sizes[@]}"; do
    make_sparse_pool "$s" "$1"
    serve "$1"
    fill --bs 4k --spots "$2"
    stop
    open=$(start_ms "$1")
    kill_in_writes "$1" "$2"
    recover=$(start_ms "$1")
    point "$s" "$open" "$recover" "$(check_ms "$1")"
    rm "$1"
  done
  end
}
series=("open, to the first reply" "the same after kill -9" check)
curve_open() {
  begin open "Time to open and check against pool size, in memory" pool ms "${series[@]}"
  time_opens "$dir/open.pool" 65536
}
curve_open_file() {
  begin open-file "Time to open and check against pool size, ordinary file" pool ms "${series[@]}"
  # Each of them is a page of the map to be synced.
  time_opens "$disk/open.pool" 4096
}

# Minute by minute: requests a second, p99.9 and what the server takes of memory.
curve_time() {
  local place f m res
  for place in memory disk; do
    f=$dir
    [[ $place == memory ]] || f=$disk
    begin "time-$place" "Mixed load in the course of time, pool: $place" \
      "minute" "4 KiB, 70 % reads, depth 16 on each of 4 connections" "1000 IOPS" "p99.9, 0.1 ms" "server, 10 MiB"
    serve_filled "$f/disk.pool" 1G
    for ((m = 1; m <= minutes; m++)); do
      res=$(secs=60 run mix 4k 16 4)
      point "$m" "$(field iops <<<"$res" | awk '{printf "%.0f", $1 / 1000}')" \
        "$(field p999_us <<<"$res" | awk '{printf "%.1f", $1 / 100}')" \
        "$(awk '/^VmRSS/ {printf "%.0f", $2 / 10240}' "/proc/$server/status")"
    done
    drop "$f/disk.pool"
    end
  done
}

{
  echo "# How the cost of pmemblk-nbd grows"
  echo
  echo "$(uname -sr), $(nproc) CPUs, $secs s a measurement, one client on a Unix socket." \
    "pmemblk-nbd of $(git -C "$here" describe --always --dirty 2>/dev/null || echo 'no commit')." \
    "Pools in $(findmnt -fno FSTYPE -T "$dir"); those on a disk in" \
    "$(findmnt -fno FSTYPE -T "$disk"). Load average $(cut -d' ' -f1 /proc/loadavg) before."
} >"$out/curves.md"
for c in ${curves//,/ }; do
  "curve_${c//-/_}"
done
note "wrote $out/curves.md"
