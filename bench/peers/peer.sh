#!/usr/bin/env bash
# Starts and stops what is measured: our servers and Apache RocketMQ 5.5.0, all on loopback, each with a store of its own.
# It changes nothing in the system but what PEERS_NAMESPACES asks for, and stops only what it started. See bench/README.md.
set -euo pipefail

usage() {
    cat >&2 <<'END'
usage: peer.sh fetch               resolve Apache RocketMQ 5.5.0 with Maven
       peer.sh start KIND          start it, wait until it takes messages, print its variables
       peer.sh env KIND            print NAMESRV, BROKER (the first), PIDS (of its brokers) and DURABILITY of one that runs
       peer.sh kill KIND           kill its broker with SIGKILL and leave its NameServer; one of ours
       peer.sh pid KIND ADDR       print the process id of its broker that listens at ADDR, host:port
       peer.sh again KIND [ADDR]   start the broker that listens at ADDR (the only one) on the store it left, do not wait, print
                                   STARTED (ms since 1970)
       peer.sh stop KIND           stop it
       peer.sh clean KIND          stop it and remove its store
KIND   ours-sync ours-async ours-trim ours-group apache-sync apache-async apache-dledger apache-controller
       ours-trim is ours-sync with segments of 32 MiB, of which it gives up all but the newest every ten seconds;
       ours-group is three of our brokers in a Raft group, each on a core of its own as far as there are some

environment
  PEERS_DIR   where stores, logs and process ids go (target/peers); put it on the device to be measured
  PEERS_BIN   where mqnamesrv, mqbroker and mqbench are (target/release)
  PEERS_PORT  first of 800 ports (23000)
  PEERS_HEAP  options of a broker's JVM (-Xms2g -Xmx2g -Xmn1g; -Xms1g -Xmx1g -Xmn512m for each of a group of three)
  PEERS_NAMESPACES  if it is not empty, each broker of ours-group is in a network namespace (namespaces.sh; needs root)
  PEERS_MIN_IN_SYNC  of apache-controller: replicas that must be in sync for a send to be taken, 1 to 3 (2)
END
    exit 2
}

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${PEERS_DIR:-$root/target/peers}
bin=${PEERS_BIN:-$root/target/release}
first_port=${PEERS_PORT:-23000}
jars=$root/target/peers/lib
ready_limit=90
stop_limit=40

die() { echo "peer.sh: $*" >&2; exit 1; }

number_of() {
    case $1 in
        ours-sync) echo 0 ;;
        ours-async) echo 1 ;;
        apache-sync) echo 2 ;;
        apache-async) echo 3 ;;
        apache-dledger) echo 4 ;;
        ours-trim) echo 5 ;;
        apache-controller) echo 6 ;;
        ours-group) echo 7 ;;
        *) usage ;;
    esac
}

durability_of() {
    case $1 in
        ours-group) echo "flushed on two of three brokers before the acknowledgement" ;;
        *-controller) echo "flushed before the acknowledgement, on every replica in sync" ;;
        *-sync | ours-trim) echo "flushed before the acknowledgement" ;;
        *-async) echo "not flushed before the acknowledgement: it survives the process, not the power" ;;
        *-dledger) echo "never flushed before the acknowledgement: in the page caches of two of three brokers" ;;
    esac
}

# --- processes ---------------------------------------------------------------------------------------------------------

# When a process was started, in ticks since the boot: with its number, this names it for ever. Nothing if it is gone, or
# dead and nobody has looked after it yet.
started_at() { sed 's/.*) //; /^[ZX]/d' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 || true; }

# launch NAME COMMAND...: starts it in the background, with its output in a file.
launch() {
    local name=$1
    shift
    env -u NAMESRV_ADDR -u ROCKETMQ_HOME -u JAVA_TOOL_OPTIONS setsid "$@" >>"$home/$name.out" 2>&1 </dev/null &
    local pid=$!
    echo "$pid $(started_at "$pid")" >"$home/run/$name"
}

# The process that a file in the run directory names, if it still runs.
running() {
    local pid since
    read -r pid since <"$1" || return 1
    [ -n "$since" ] && [ "$(started_at "$pid")" = "$since" ] && echo "$pid"
}

stop() {
    local file pid waited
    for file in "$home"/run/broker* "$home"/run/namesrv; do
        [ -f "$file" ] || continue
        if pid=$(running "$file"); then
            # One that is paused takes the signal only when it goes on.
            kill -TERM "$pid"
            kill -CONT "$pid" 2>/dev/null || true
            waited=0
            while running "$file" >/dev/null && [ "$waited" -lt "$stop_limit" ]; do
                sleep 0.5
                waited=$((waited + 1))
            done
            if running "$file" >/dev/null; then
                echo "peer.sh: $kind did not stop in time and is killed" >&2
                kill -KILL "$pid"
            fi
        fi
        rm -f "$file"
    done
}

broker_pids() {
    local file pid pids=""
    for file in "$home"/run/broker*; do
        [ -f "$file" ] || continue
        pid=$(running "$file") || die "$kind has died; see $home/*.out"
        pids=${pids:+$pids,}$pid
    done
    [ -n "$pids" ] || die "$kind does not run"
    echo "$pids"
}

variables() {
    local pids
    pids=$(broker_pids)
    printf 'NAMESRV=%s\nBROKER=%s\nPIDS=%s\nDURABILITY="%s"\n' \
        "$host:$namesrv_port" "$(host_of 0):$broker_port" "$pids" "$(durability_of "$kind")"
}

# --- Apache ------------------------------------------------------------------------------------------------------------

fetch() {
    [ -f "$jars/.complete" ] && [ ! "$root/bench/peers/pom.xml" -nt "$jars/.complete" ] && return
    command -v mvn >/dev/null || die "mvn is missing: install Maven"
    rm -rf "$jars"
    mkdir -p "$jars"
    mvn -q -B -f "$root/bench/peers/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars" >&2
    touch "$jars/.complete"
}

java_program() {
    local java=${JAVA_HOME:+$JAVA_HOME/bin/}java
    command -v "$java" >/dev/null || die "java is missing: install a JDK, 17 or newer, or set JAVA_HOME"
    echo "$java"
}

# apache NAME HEAP CLASS CONFIG: starts one of Apache's servers.
apache() {
    local name=$1 heap=$2 class=$3 conf=$4 package opens=()
    for package in java.lang java.nio java.util sun.nio.ch; do
        opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
    done
    # What it logs goes below the home directory that it is told.
    # shellcheck disable=SC2086 # the heap is several options
    launch "$name" "$(java_program)" $heap -XX:+UseG1GC "${opens[@]}" -Duser.home="$home" -Drocketmq.home.dir="$home" \
        -cp "$jars/*" "org.apache.rocketmq.$class" -c "$conf"
}

namesrv_conf() {
    cat <<END
listenPort=$namesrv_port
bindAddress=127.0.0.1
kvConfigPath=$home/kvConfig.json
configStorePath=$home/namesrv.properties
END
}

apache_namesrv() {
    namesrv_conf >"$home/namesrv.conf"
    apache namesrv "-Xms256m -Xmx256m" namesrv.NamesrvStartup "$home/namesrv.conf"
}

# What all of Apache's brokers are told. A send may wait for 5 s in the queue of the broker, so that many in flight measure
# the broker and not its refusals (by default it refuses after 200 ms).
apache_broker_conf() {
    local port=$1 store=$2
    cat <<END
brokerClusterName=bench
listenPort=$port
bindAddress=127.0.0.1
brokerIP1=127.0.0.1
brokerIP2=127.0.0.1
namesrvAddr=127.0.0.1:$namesrv_port
storePathRootDir=$store
storePathCommitLog=$store/commitlog
waitTimeMillsInSendQueue=5000
diskMaxUsedSpaceRatio=95
END
}

start_apache_single() {
    local flush=$1
    apache_namesrv
    { apache_broker_conf "$broker_port" "$home/store"; printf 'brokerName=broker-a\nflushDiskType=%s\n' "$flush"; } \
        >"$home/broker.conf"
    apache broker "${PEERS_HEAP:--Xms2g -Xmx2g -Xmn1g}" broker.BrokerStartup "$home/broker.conf"
}

start_apache_dledger() {
    local n peers="" conf
    apache_namesrv
    for n in 0 1 2; do
        peers="${peers:+$peers;}n$n-127.0.0.1:$((broker_port + 50 + n))"
    done
    for n in 0 1 2; do
        conf=$home/broker-$n.conf
        {
            apache_broker_conf "$((broker_port + n * 10))" "$home/store-$n"
            # Which flushDiskType stands here makes no difference in this mode.
            printf 'brokerName=broker-a\nflushDiskType=SYNC_FLUSH\nenableDLegerCommitLog=true\ndLegerGroup=broker-a\n'
            printf 'dLegerPeers=%s\ndLegerSelfId=n%s\n' "$peers" "$n"
        } >"$conf"
        apache_node "$n"
    done
}

# apache_node N: starts one of three, on the configuration and the store that it has.
apache_node() {
    apache "broker-$1" "${PEERS_HEAP:--Xms1g -Xmx1g -Xmn512m}" broker.BrokerStartup "$home/broker-$1.conf"
}

# One controller, in the NameServer, and three brokers: whoever is in sync must have flushed a message.
start_apache_controller() {
    local n conf controller=127.0.0.1:$((namesrv_port + 5)) least=${PEERS_MIN_IN_SYNC:-2}
    case $least in [1-3]) ;; *) die "PEERS_MIN_IN_SYNC is $least: give 1 to 3" ;; esac
    {
        namesrv_conf
        printf 'enableControllerInNamesrv=true\ncontrollerDLegerGroup=controller\ncontrollerDLegerSelfId=n0\n'
        printf 'controllerDLegerPeers=n0-%s\ncontrollerStorePath=%s\n' "$controller" "$home/controller"
    } >"$home/namesrv.conf"
    apache namesrv "-Xms256m -Xmx256m" namesrv.NamesrvStartup "$home/namesrv.conf"
    for n in 0 1 2; do
        conf=$home/broker-$n.conf
        {
            apache_broker_conf "$((broker_port + n * 10))" "$home/store-$n"
            printf 'brokerName=broker-a\nbrokerId=-1\nbrokerRole=SLAVE\nflushDiskType=SYNC_FLUSH\n'
            printf 'enableControllerMode=true\ncontrollerAddr=%s\n' "$controller"
            printf 'allAckInSyncStateSet=true\nminInSyncReplicas=%s\n' "$least"
        } >"$conf"
        apache_node "$n"
    done
}

# --- ours --------------------------------------------------------------------------------------------------------------

start_ours() {
    local flush=$1 more=${2:-}
    [ -x "$bin/mqbroker" ] || die "$bin/mqbroker is missing: cargo build --release --bins --workspace"
    printf 'listenPort=%s\nbindAddress=127.0.0.1\n' "$namesrv_port" >"$home/namesrv.conf"
    cat >"$home/broker.conf" <<END
brokerClusterName=bench
brokerName=broker-a
listenPort=$broker_port
bindAddress=127.0.0.1
brokerIP1=127.0.0.1
namesrvAddr=127.0.0.1:$namesrv_port
storePathRootDir=$home/store
flushDiskType=$flush
$more
END
    launch namesrv "$bin/mqnamesrv" -c "$home/namesrv.conf"
    launch broker "$bin/mqbroker" -c "$home/broker.conf"
}

# One group of three, as start_apache_dledger has it.
start_ours_group() {
    local n peers=""
    [ -x "$bin/mqbroker" ] || die "$bin/mqbroker is missing: cargo build --release --bins --workspace"
    if [ -n "$namespaces" ]; then
        "$namespaces_sh" up
        # Only who has made them takes them down, by the names that they have: another call may be told others, or none.
        printf '%s\n%s\n' "${PEERS_PREFIX:-}" "${PEERS_NET:-}" >"$home/run/namespaces"
    fi
    printf 'listenPort=%s\nbindAddress=%s\n' "$namesrv_port" "$host" >"$home/namesrv.conf"
    launch namesrv "$bin/mqnamesrv" -c "$home/namesrv.conf"
    for n in 0 1 2; do
        peers="${peers:+$peers;}n$n-$(host_of "$n"):$((broker_port + 50 + n))"
    done
    for n in 0 1 2; do
        cat >"$home/broker-$n.conf" <<END
brokerClusterName=bench
brokerName=broker-a
listenPort=$((broker_port + n * 10))
bindAddress=$(host_of "$n")
brokerIP1=$(host_of "$n")
namesrvAddr=$host:$namesrv_port
storePathRootDir=$home/store-$n
mappedFileSizeCommitLog=268435456
enableDLegerCommitLog=true
dLegerGroup=broker-a
dLegerPeers=$peers
dLegerSelfId=n$n
END
        ours_node "$n"
    done
}

# ours_node N: starts one of three, on the configuration and the store that it has. Brokers take the first core that they may
# use, so each is given another one.
ours_node() {
    local cores core
    mapfile -t cores < <(taskset -cp $$ | sed 's/.*: //' | tr , '\n' |
        while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done)
    core=${cores[$1 % ${#cores[@]}]}
    if [ -n "$namespaces" ]; then
        launch "broker-$1" "$namespaces_sh" exec "$1" taskset -c "$core" "$bin/mqbroker" -c "$home/broker-$1.conf"
    else
        launch "broker-$1" taskset -c "$core" "$bin/mqbroker" -c "$home/broker-$1.conf"
    fi
}

# host_of N: the address of broker N of this kind.
host_of() { if [ -n "$namespaces" ]; then "$namespaces_sh" addr "$1"; else echo 127.0.0.1; fi; }

# The ratios are below what most disks in use have reached, so that all goes that can.
trim_conf() {
    cat <<END
mappedFileSizeCommitLog=33554432
maxMessageSize=1048576
diskMaxUsedSpaceRatio=10
diskSpaceCleanForciblyRatio=20
diskSpaceWarningLevelRatio=95
END
}

is_ours() { case $kind in ours-*) ;; *) die "$kind is none of ours" ;; esac; }

kill_broker() {
    local pid waited=0
    is_ours
    pid=$(running "$home/run/broker") || die "the broker of $kind does not run"
    kill -KILL "$pid"
    while running "$home/run/broker" >/dev/null; do
        [ "$waited" -lt 1000 ] || die "$pid was killed and does not go"
        sleep 0.01
        waited=$((waited + 1))
    done
    rm -f "$home/run/broker"
}

# name_of ADDR: the name of the broker of this kind that listens there.
name_of() {
    local file
    for file in "$home"/broker*.conf; do
        [ -f "$file" ] || die "$kind was not started before"
        if grep -qx "listenPort=${1##*:}" "$file"; then
            basename "$file" .conf
            return
        fi
    done
    die "no broker of $kind listens at $1"
}

pid_at() {
    local name
    name=$(name_of "$1")
    running "$home/run/$name" || die "$name of $kind, at $1, does not run"
}

start_again() {
    local name
    name=$(name_of "${1:-$host:$broker_port}")
    if [ -f "$home/run/$name" ] && running "$home/run/$name" >/dev/null; then die "$name of $kind runs"; fi
    echo "STARTED=$(date +%s%3N)"
    case $kind:$name in
        ours-group:broker-?) ours_node "${name#broker-}" ;;
        ours-*) launch "$name" "$bin/mqbroker" -c "$home/$name.conf" ;;
        *:broker-?) apache_node "${name#broker-}" ;;
        *) die "$kind is not started again: it is no group" ;;
    esac
}

# Stops it, and removes what namespaces were made for it.
take_down() {
    local prefix net
    stop
    if [ -f "$home/run/namespaces" ]; then
        # Without lines it was written before there were any: those of now are the best guess.
        { read -r prefix && read -r net; } <"$home/run/namespaces" || prefix=${PEERS_PREFIX:-} net=${PEERS_NET:-}
        PEERS_PREFIX=$prefix PEERS_NET=$net "$namespaces_sh" down
        rm -f "$home/run/namespaces"
    fi
}

# --- start -------------------------------------------------------------------------------------------------------------

# A server is ready when it takes a message: its NameServer knows it, and it has a leader if it needs one.
wait_until_ready() {
    local waited=0
    [ -x "$bin/mqbench" ] || die "$bin/mqbench is missing: cargo build --release --bins --workspace"
    until "$bin/mqbench" produce -n "$host:$namesrv_port" -t ready --count 1 >/dev/null 2>&1; do
        broker_pids >/dev/null
        waited=$((waited + 1))
        [ "$waited" -lt "$ready_limit" ] || die "$kind takes no message after $ready_limit s; see $home/*.out"
        sleep 1
    done
}

start() {
    if compgen -G "$home/run/*" >/dev/null; then
        die "$kind runs already, or was left behind: peer.sh stop $kind"
    fi
    case $kind in apache-*) fetch ;; esac
    mkdir -p "$home/run"
    # From here on a failure, or a signal, takes down what was started.
    is_up=""
    trap 'if [ -z "$is_up" ]; then take_down; fi' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    case $kind in
        ours-sync) start_ours SYNC_FLUSH ;;
        ours-async) start_ours ASYNC_FLUSH ;;
        ours-trim) start_ours SYNC_FLUSH "$(trim_conf)" ;;
        ours-group) start_ours_group ;;
        apache-sync) start_apache_single SYNC_FLUSH ;;
        apache-async) start_apache_single ASYNC_FLUSH ;;
        apache-dledger) start_apache_dledger ;;
        apache-controller) start_apache_controller ;;
    esac
    wait_until_ready
    variables
    is_up=yes
}

[ $# -ge 1 ] || usage
action=$1
if [ "$action" = fetch ]; then
    fetch
    exit
fi
case $action:$# in pid:3 | again:3 | [!p]*:2) ;; *) usage ;; esac
kind=$2
number=$(number_of "$kind")
home=$dir/$kind
namesrv_port=$((first_port + number * 100))
broker_port=$((namesrv_port + 11))
namespaces="" host=127.0.0.1
namespaces_sh=$root/bench/peers/namespaces.sh
if [ "$kind" = ours-group ] && [ -n "${PEERS_NAMESPACES:-}" ]; then
    namespaces=yes
    host=$("$namespaces_sh" host)
fi
case $action in
    start) start ;;
    env) variables ;;
    kill) kill_broker ;;
    again) start_again "${3:-}" ;;
    pid) pid_at "$3" ;;
    stop) take_down ;;
    clean) take_down; rm -rf "$home" ;;
    *) usage ;;
esac
