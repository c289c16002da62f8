#!/usr/bin/env bash
# Sends at a steady rate to a broker that gives up the beginning of its log and uses the files again all the time, and to
# one that does not, in turn: the retention table of bench/README.md.
set -euo pipefail

usage() {
    cat >&2 <<'END'
usage: bench/retention.sh [--rate N] [--windows N] [--duration TIME] [--warmup TIME] [--out FILE]

  --rate      messages of 1 KiB a second (10000)
  --windows   windows of each side, in turn (5)
  --duration  of a window (20s); the log is looked at every ten seconds
  --warmup    before each window (5s)
  --out       where the JSON goes (target/retention.json)

The environment of bench/peers/peer.sh counts as well: PEERS_DIR is the directory with the stores. Segments go when more than
20 % of its disk are in use.
END
    exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
peer=$root/bench/peers/peer.sh
bin=${PEERS_BIN:-$root/target/release}
dir=${PEERS_DIR:-$root/target/peers}
rate=10000 windows=5 duration=20s warmup=5s out=$root/target/retention.json
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --rate) rate=$2 ;;
        --windows) windows=$2 ;;
        --duration) duration=$2 ;;
        --warmup) warmup=$2 ;;
        --out) out=$2 ;;
        *) usage ;;
    esac
    shift 2
done

# What was started is stopped, however this ends, and the stores go.
started=() watcher="" seen=""
finish() {
    local code=$? kind
    trap '' HUP INT TERM
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    for kind in "${started[@]}"; do "$peer" clean "$kind" || true; done
    [ -z "$seen" ] || rm -f "$seen"
    exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# side KIND PREFIX: starts one and sets PREFIX_namesrv, PREFIX_broker, PREFIX_pids.
side() {
    local kind=$1 prefix=$2 NAMESRV BROKER PIDS DURABILITY variables
    echo "starting $kind" >&2
    variables=$("$peer" start "$kind")
    started+=("$kind")
    eval "$variables"
    printf -v "${prefix}_namesrv" %s "$NAMESRV"
    printf -v "${prefix}_broker" %s "$BROKER"
    printf -v "${prefix}_pids" %s "$PIDS"
}

# Where the log of a broker begins.
log_begin() {
    "$bin/mqbench" answer --json --broker "$1" -t ready | sed -n 's/.*"log_begin":\([0-9]*\)[,}].*/\1/p'
}

# Notes, until it is stopped, which file each segment lies in: its number, and when it was made.
watch_segments() {
    while sleep 0.2; do stat -c '%i %w %n' "$1"/[0-9]* 2>/dev/null || true; done
}

if [ -z "${PEERS_BIN:-}" ]; then
    (cd "$root" && cargo build --quiet --locked --release --bins -p bench -p broker -p namesrv)
fi
side ours-trim trim
side ours-sync quiet
log=$dir/ours-trim/store/log
[ -d "$log" ] || { echo "retention.sh: no log in $log" >&2; exit 1; }
seen=$(mktemp)
watch_segments "$log" >"$seen" &
watcher=$!
begin=$(log_begin "$trim_broker")
quiet_begin=$(log_begin "$quiet_broker")
for at in "$begin" "$quiet_begin"; do
    [ -n "$at" ] || { echo "retention.sh: a broker does not say where its log begins" >&2; exit 1; }
done
mkdir -p "$(dirname "$out")"
"$bin/mqbench" compare --a "$trim_namesrv" --b "$quiet_namesrv" --pid-a "$trim_pids" --pid-b "$quiet_pids" \
    --label-a trimming --label-b quiet -t load --size 1024 --connections 1 --in-flight 4096 --rate "$rate" \
    --windows "$windows" --duration "$duration" --warmup "$warmup" --json >"$out"
end=$(log_begin "$trim_broker")
kill "$watcher"
watcher=""
"$bin/mqbench" report --markdown "$out"

[ -n "$end" ] || { echo "retention.sh: the trimming broker does not say where its log begins" >&2; exit 1; }
trimmed=$(((end - begin) / 33554432))
# A file that was seen under more than one name was used again.
again=$(sort -u "$seen" | sed 's/ [^ ]*$//' | sort | uniq -d | wc -l)
quiet_end=$(log_begin "$quiet_broker")
printf '\nsegments given up: %s; files used again: %s; the quiet log begins at %s\n' "$trimmed" "$again" "$quiet_end"
if [ "$trimmed" -eq 0 ] || [ "$again" -eq 0 ]; then
    echo "retention.sh: nothing was given up and used again: longer windows, or a disk of which more is in use" >&2
    exit 1
fi
if [ "$quiet_end" != "$quiet_begin" ]; then
    echo "retention.sh: the quiet side gave up segments too: use a disk with more room" >&2
    exit 1
fi
