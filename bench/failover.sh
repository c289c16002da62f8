#!/usr/bin/env bash
# How long a group of three brokers is away when its leader is killed, and when it is paused: the failover table of
# bench/README.md. Needs cargo, and for Apache's kinds a JDK and Maven.
set -euo pipefail

usage() {
    cat >&2 <<'END_OF_USAGE'
usage: bench/failover.sh [--kind dledger|controller|ours] [--faults kill,pause,drop,stall] [--times N] [--every TIME] [--settle TIME]
                         [--rate N] [--median MS] [--worst MS] [--out DIR]

  --kind    which group (dledger)
            dledger     Apache RocketMQ 5.5.0, DLedger mode: it never flushes before it acknowledges
            controller  Apache RocketMQ 5.5.0, controller mode, all replicas in sync flush (PEERS_MIN_IN_SYNC, see peer.sh)
            ours        three of our brokers, which flush on two of the three before they acknowledge
  --faults  what is done to the leader (kill,pause)
            kill   SIGKILL; it is started again when the group has been well for --settle
            pause  SIGSTOP; it goes on then
            drop   its network link is dropped, as if its power had failed; joined again then. Ours only, as root: each
                   broker is in a network namespace (bench/peers/namespaces.sh)
            stall  its writes to the disk wait in the kernel; they go on then. Ours only, as root (bench/peers/stall.sh)
  --times   faults of each kind (10)
  --every   from one to the next at least (10s)
  --settle  how long all must be well before a fault and before its end (ours 5s, Apache 15s: Apache's followers copy the list of topics
            every ten seconds, and one that leads without it knows the topic only by half)
  --rate    probes a second (200)
  --median  fail if the median window of a kind of fault is longer than so many milliseconds
  --worst   fail if the longest window of a kind of fault is, or the longest silence after a heal
  --out     where JSON, tables, the page and what the brokers have said go (target/failover)

It fails (exit code 1) if a fault has brought no other leader, for then its window says nothing; mqbench names the faults.
The environment of bench/peers/peer.sh counts as well: PEERS_DIR is the directory with the stores.
END_OF_USAGE
    exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
peer=$root/bench/peers/peer.sh
namespaces=$root/bench/peers/namespaces.sh stall=$root/bench/peers/stall.sh
bin=${PEERS_BIN:-$root/target/release}
kind=dledger faults=kill,pause times=10 every=10s settle="" rate=200 out=$root/target/failover median="" worst=""
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --kind) kind=$2 ;;
        --faults) faults=$2 ;;
        --times) times=$2 ;;
        --every) every=$2 ;;
        --settle) settle=$2 ;;
        --rate) rate=$2 ;;
        --median) median=$2 ;;
        --worst) worst=$2 ;;
        --out) out=$2 ;;
        *) usage ;;
    esac
    shift 2
done
case $kind in
    dledger | controller) group=apache-$kind settle=${settle:-15s} ;;
    ours) group=ours-group settle=${settle:-5s} ;;
    *) usage ;;
esac
judged=(--new-leader)
for bar in "--median:$median" "--worst:$worst"; do
    case ${bar#*:} in
        "") ;;
        *[!0-9]* | 0*)
            echo "failover.sh: ${bar%%:*} ${bar#*:}: give milliseconds, such as 500" >&2
            exit 2
            ;;
        *) judged+=("${bar%%:*}" "${bar#*:}ms") ;;
    esac
done
may_stall=""
for fault in ${faults//,/ }; do
    case $fault:$kind in
        kill:* | pause:*) ;;
        drop:ours) export PEERS_NAMESPACES=yes ;;
        stall:ours)
            mkdir -p "${PEERS_DIR:=$root/target/peers}"
            export PEERS_DIR
            "$stall" check "$PEERS_DIR"
            may_stall=yes
            ;;
        drop:* | stall:*)
            echo "failover.sh: $fault is for --kind ours only" >&2
            exit 2
            ;;
        *) usage ;;
    esac
done

# What was started is stopped, however this ends, and the stores go. A broker whose writes wait cannot be killed: they go on first.
started=""
finish() {
    local code=$?
    trap '' HUP INT TERM
    # Without a start of its own what is stalled for this directory is another run's.
    if [ -n "$started" ]; then
        if [ -n "$may_stall" ]; then "$stall" all-go "$PEERS_DIR" || true; fi
        # What the brokers have said explains a window that is longer than the others.
        mkdir -p "$out/logs" || true
        cp "${PEERS_DIR:-$root/target/peers}/$group"/*.out "$out/logs" || true
        "$peer" clean "$group" || true
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -z "${PEERS_BIN:-}" ]; then
    (cd "$root" && cargo build --quiet --locked --release --bins -p bench -p broker -p namesrv)
fi
mkdir -p "$out"
NAMESRV="" DURABILITY=""
# A start that fails takes its own things down, and leaves alone those of another run that is there already. So a signal waits
# until it is known whether this one has started anything.
ended=""
trap 'ended=129' HUP
trap 'ended=130' INT
trap 'ended=143' TERM
variables=$("$peer" start "$group")
started=yes
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
[ -z "$ended" ] || exit "$ended"
eval "$variables"

# What the shell of mqbench shall see is quoted here and expanded there.
printf -v again '%q again %q "$LEADER_ADDR"' "$peer" "$group"
printf -v pid_of '%q pid %q "$LEADER_ADDR"' "$peer" "$group"
results=() failed=""
: >"$out/tables.md"
for fault in ${faults//,/ }; do
    # shellcheck disable=SC2016 # expanded by the shell of mqbench
    case $fault in
        kill) strike='kill -KILL "$LEADER_PID"' heal="$again >/dev/null" ;;
        pause) strike='kill -STOP "$LEADER_PID"' heal='kill -CONT "$LEADER_PID"' ;;
        drop)
            printf -v strike '%q drop "$LEADER_ADDR"' "$namespaces"
            printf -v heal '%q join "$LEADER_ADDR"' "$namespaces"
            ;;
        stall)
            printf -v strike '%q stall "$LEADER_PID" %q' "$stall" "$PEERS_DIR"
            printf -v heal '%q go "$LEADER_PID"' "$stall"
            ;;
    esac
    file=$out/$kind-$fault.json
    echo "$kind, $fault" >&2
    "$bin/mqbench" failover --json -n "$NAMESRV" -t "failover-$fault" --fault "$strike" --heal "$heal" \
        --pid-of "$pid_of" --times "$times" --every "$every" --settle "$settle" --rate "$rate" --members 3 \
        "${judged[@]}" >"$file.new" || failed="$failed $fault"
    [ -s "$file.new" ] || exit 1
    mv "$file.new" "$file"
    results+=("$file")
    {
        printf '\n## %s, %s\n\n%s\n\n' "$kind" "$fault" "$DURABILITY"
        "$bin/mqbench" report --markdown "$file"
    } | tee -a "$out/tables.md"
done
"$bin/mqbench" report "${results[@]}" --title "Failover, $kind" --report "$out/report.html"
echo "tables: $out/tables.md   page: $out/report.html" >&2
[ -z "$failed" ] || { echo "failover.sh: failed:$failed; what mqbench said of it is above" >&2; exit 1; }
