#!/usr/bin/env bash
# How long our broker takes from its start to its first answer, after it was killed under load with much in its log:
# the restart table of bench/README.md.
set -euo pipefail

usage() {
    cat >&2 <<'END'
usage: bench/restart.sh [--gib N] [--rounds N]

  --gib     GiB of log, 1 to 1000 (10); its last segment of 1 GiB is filled to 94 %
  --rounds  how often the broker is killed and started again, 1 to 10 (5)

The environment of bench/peers/peer.sh counts as well: PEERS_DIR is the directory with the store.
END
    exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
peer=$root/bench/peers/peer.sh
bin=${PEERS_BIN:-$root/target/release}
kind=ours-sync topic=restart gib=10 rounds=5
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $2 in '' | *[!0-9]* | ?????*) usage ;; esac
    case $1 in
        --gib) gib=$2 ;;
        --rounds) rounds=$2 ;;
        *) usage ;;
    esac
    shift 2
done
{ [ "$gib" -ge 1 ] && [ "$gib" -le 1000 ] && [ "$rounds" -ge 1 ] && [ "$rounds" -le 10 ]; } || usage

# What was started is stopped, however this ends, and the store goes.
started="" load=""
stop_load() {
    [ -n "$load" ] || return 0
    kill -KILL "$load" 2>/dev/null || true
    wait "$load" 2>/dev/null || true
    load=""
}
finish() {
    local code=$?
    trap '' HUP INT TERM
    stop_load
    if [ -n "$started" ]; then "$peer" clean "$kind" || true; fi
    exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# answer OPTIONS...: asks until there is an answer; sets after_ms and log_end.
answer() {
    local json name
    json=$("$bin/mqbench" answer --json --broker "$BROKER" -t "$topic" "$@")
    for name in after_ms log_end; do
        printf -v "$name" %s "$(sed -n "s/.*\"$name\":\([0-9]*\)[,}].*/\1/p" <<<"$json")"
        [ -n "${!name}" ] || { echo "restart.sh: no $name in $json" >&2; exit 1; }
    done
}

# send OPTIONS...: messages of 1 KiB.
send() {
    "$bin/mqbench" produce -n "$NAMESRV" -t "$topic" --size 1024 --connections 1 "$@" >/dev/null 2>&1
}

# What a message takes in the log depends on how many share a write: it is measured with every step.
fill() {
    local goal=$1 count=20000 before bytes
    send --in-flight 256 --count 1000
    answer
    while [ "$log_end" -lt "$goal" ]; do
        before=$log_end
        send --in-flight 256 --count "$count"
        answer
        bytes=$(((log_end - before) / count + 1))
        echo "log: $((log_end >> 20)) of $((goal >> 20)) MiB" >&2
        count=$(((goal - log_end) / bytes))
        # The first message beyond the goal ends it.
        [ "$count" -ge 1 ] || count=1
        [ "$count" -le 1000000 ] || count=1000000
    done
}

if [ -z "${PEERS_BIN:-}" ]; then
    (cd "$root" && cargo build --quiet --locked --release --bins -p bench -p broker -p namesrv)
fi
NAMESRV="" BROKER="" STARTED="" after_ms="" log_end=""
variables=$("$peer" start "$kind")
started=yes
eval "$variables"
segment=$((1 << 30))
fill $((gib * segment - segment * 6 / 100))

times=()
for ((round = 1; round <= rounds; round++)); do
    # So slow that the loads of all rounds together stay in the segment.
    "$bin/mqbench" produce -n "$NAMESRV" -t "$topic" --size 1024 --rate 2000 --connections 1 -d 60s >/dev/null 2>&1 &
    load=$!
    sleep 0.5
    "$peer" kill "$kind"
    stop_load
    eval "$("$peer" again "$kind")"
    answer --since "$STARTED"
    times+=("$after_ms")
    share=$((log_end % segment * 100 / segment))
    echo "round $round: first answer after $after_ms ms; $((log_end >> 20)) MiB of log, last segment $share % full"
    [ "$share" -ge 90 ] || { echo "restart.sh: the last segment is less than 90 % full" >&2; exit 1; }
    # The next load is to find the broker at its NameServer.
    until send --count 1; do sleep 0.5; done
done
mapfile -t sorted < <(printf '%s\n' "${times[@]}" | sort -n)
echo "median ${sorted[rounds / 2]} ms, from ${sorted[0]} to ${sorted[rounds - 1]} ms"
