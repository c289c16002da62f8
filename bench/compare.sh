#!/usr/bin/env bash
# Our broker beside Apache RocketMQ 5.5.0 on this machine: the tables of bench/README.md. Needs a JDK, Maven and cargo.
set -euo pipefail

usage() {
    cat >&2 <<'END'
usage: bench/compare.sh [--only sync,async,dledger,group,group-dledger] [--windows N] [--duration TIME] [--warmup TIME]
                        [--depths LIST] [--messages N] [--out DIR]

  --only      which comparisons (sync,async,dledger): `dledger` is one broker of ours beside Apache's group of three, `group` our
              group of three beside one broker of ours, `group-dledger` both groups of three
  --windows   windows of each side, in turn (5)
  --duration  of a window (15s)
  --warmup    before each window (30s: some systems change their pace half a minute after they have something to do)
  --depths    messages in flight (1,16,64,256)
  --messages  of the backlog that is consumed (1000000); 0 leaves it out
  --out       where JSON, tables and the page go (target/compare)

The environment of bench/peers/peer.sh counts as well: PEERS_DIR is the directory with the stores.
END
    exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
peer=$root/bench/peers/peer.sh
bin=${PEERS_BIN:-$root/target/release}
only=sync,async,dledger windows=5 duration=15s warmup=30s depths=1,16,64,256 messages=1000000 out=$root/target/compare
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --only) only=$2 ;;
        --windows) windows=$2 ;;
        --duration) duration=$2 ;;
        --warmup) warmup=$2 ;;
        --depths) depths=$2 ;;
        --messages) messages=$2 ;;
        --out) out=$2 ;;
        *) usage ;;
    esac
    shift 2
done

# What was started is stopped, however this ends. The stores go too: a run begins with empty ones.
started=()
finish() {
    local code=$?
    trap '' HUP INT TERM
    local kind
    for kind in "${started[@]}"; do "$peer" clean "$kind" || true; done
    exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -z "${PEERS_BIN:-}" ]; then
    (cd "$root" && cargo build --quiet --locked --release --bins -p bench -p broker -p namesrv)
fi
case $only in group) ;; *) "$peer" fetch ;; esac
mkdir -p "$out"
results=()

# side KIND PREFIX: starts one and sets PREFIX_namesrv, PREFIX_pids, PREFIX_durability.
side() {
    local kind=$1 prefix=$2 NAMESRV BROKER PIDS DURABILITY variables
    echo "starting $kind" >&2
    # One that is refused is another run's, and is left alone.
    variables=$("$peer" start "$kind")
    started+=("$kind")
    eval "$variables"
    printf -v "${prefix}_namesrv" %s "$NAMESRV"
    printf -v "${prefix}_pids" %s "$PIDS"
    printf -v "${prefix}_durability" %s "$DURABILITY"
}

# compare NAME OPTIONS...: one comparison of the two that run.
compare() {
    local name=$1 file=$out/$1.json
    shift
    echo "$name" >&2
    "$bin/mqbench" compare --a "$a_namesrv" --b "$b_namesrv" --pid-a "$a_pids" --pid-b "$b_pids" --windows "$windows" \
        --connections 1 --size 1024 --label-a "$a_label" --label-b "$b_label" --json "$@" >"$file.new"
    mv "$file.new" "$file"
    results+=("$file")
    {
        printf '\n## %s\n\n- %s: %s\n- %s: %s\n\n' "$name" "$a_label" "$a_durability" "$b_label" "$b_durability"
        "$bin/mqbench" report --markdown "$file"
    } | tee -a "$out/tables.md"
}

# both FLUSH OURS APACHE LABEL: all comparisons of two servers.
both() {
    local name=$1 ours=$2 theirs=$3 b_label=$4 a_label="Turbopump $5"
    side "$ours" a
    side "$theirs" b
    compare "$name" --topic load --depths "$depths" --duration "$duration" --warmup "$warmup"
    if [ "$messages" != 0 ]; then
        local namesrv
        for namesrv in "$a_namesrv" "$b_namesrv"; do
            echo "storing $messages messages at $namesrv" >&2
            "$bin/mqbench" produce -n "$namesrv" -t backlog --size 1024 --in-flight 256 --connections 1 \
                --count "$messages" >&2
        done
        compare "$name-backlog" --topic backlog --consume --count "$messages"
    fi
    "$peer" clean "$ours"
    "$peer" clean "$theirs"
    started=()
}

: >"$out/tables.md"
for which in ${only//,/ }; do
    case $which in
        sync) both sync ours-sync apache-sync "Apache 5.5.0 SYNC_FLUSH" SYNC_FLUSH ;;
        async) both async ours-async apache-async "Apache 5.5.0 ASYNC_FLUSH" ASYNC_FLUSH ;;
        group) both group ours-group ours-sync "Turbopump SYNC_FLUSH, one node" "× 3" ;;
        group-dledger) both group-dledger ours-group apache-dledger "Apache 5.5.0 DLedger × 3" "× 3" ;;
        dledger) both dledger ours-sync apache-dledger "Apache 5.5.0 DLedger × 3" "SYNC_FLUSH, one node" ;;
        *) usage ;;
    esac
done
"$bin/mqbench" report "${results[@]}" --title "Turbopump beside Apache RocketMQ 5.5.0" --report "$out/report.html"
echo "tables: $out/tables.md   page: $out/report.html" >&2
