#!/usr/bin/env bash
# A network of their own for a group of three brokers on this machine: each in a namespace, joined by a bridge. A broker whose
# link is dropped is gone as if its power had failed: nobody gets a packet of it, nor it one of theirs, and nothing is told.
# Needs root. Changes nothing else of the machine's network; see bench/failover.sh.
set -euo pipefail

usage() {
    cat >&2 <<'END'
usage: namespaces.sh up          make the bridge, with the address HOST, and the namespaces
       namespaces.sh down        remove them; they need not be there
       namespaces.sh host        print HOST
       namespaces.sh addr N      print the address of broker N, 0 to 2
       namespaces.sh exec N CMD… run a command in the namespace of broker N
       namespaces.sh drop ADDR   drop the link of the broker at this address, host:port
       namespaces.sh join ADDR   join it again

environment
  PEERS_NET     the first three numbers of the addresses (10.213.77)
  PEERS_PREFIX  how names of namespaces and links begin, at most 8 letters (tpfo)
END
    exit 2
}

net=${PEERS_NET:-10.213.77}
prefix=${PEERS_PREFIX:-tpfo}

die() { echo "namespaces.sh: $*" >&2; exit 1; }

# What cannot be done without root says so before anything is made.
need_root() {
    command -v ip >/dev/null || die "ip is missing: install iproute2"
    [ "$(id -u)" = 0 ] || die "namespaces need root"
}

# Whether somebody's namespaces have these names: those of a run, or what one that was killed has left behind.
check_unused() {
    local n pids
    pids=$(for n in 0 1 2; do ip netns pids "$prefix$n" 2>/dev/null || true; done | xargs)
    if [ -n "$pids" ]; then
        die "the namespaces $prefix* are in use by processes $pids: wait for that run, or set PEERS_PREFIX and PEERS_NET"
    fi
    for n in "/sys/class/net/$prefix-br" "/run/netns/${prefix}"[012]; do
        [ ! -e "$n" ] || die "$n was left behind by an earlier run, nobody is in it: namespaces.sh down"
    done
}

up() {
    need_root
    check_unused
    ip route show to match "$net.1" | grep -v '^default' | grep -q . && die "$net.0/24 is in use; set PEERS_NET"
    # Of two at the same time one gets the bridge. What it has not made, nobody removes here.
    ip link add "$prefix-br" type bridge forward_delay 0
    trap 'code=$?; if [ "$code" != 0 ]; then down; fi' EXIT
    ip addr add "$net.1/24" dev "$prefix-br"
    ip link set "$prefix-br" up
    for n in 0 1 2; do
        ip netns add "$prefix$n"
        ip link add "$prefix-v$n" type veth peer name eth0 netns "$prefix$n"
        ip -n "$prefix$n" addr add "$net.$((11 + n))/24" dev eth0
        ip -n "$prefix$n" link set lo up
        ip -n "$prefix$n" link set eth0 up
        ip link set "$prefix-v$n" master "$prefix-br" up
    done
}

down() {
    for n in 0 1 2; do
        # The link goes at once; the namespace when its last process has ended.
        ip link del "$prefix-v$n" 2>/dev/null || true
        ip netns del "$prefix$n" 2>/dev/null || true
    done
    ip link del "$prefix-br" 2>/dev/null || true
}

# Brokers are called 0, 1 and 2.
check_number() { case $1 in [012]) ;; *) die "$1 is no broker: give 0, 1 or 2" ;; esac; }

# number_at ADDR: which broker has this address.
number_at() {
    local n
    for n in 0 1 2; do
        if [ "${1%:*}" = "$net.$((11 + n))" ]; then
            echo "$n"
            return
        fi
    done
    die "no broker is at $1"
}

[ $# -ge 1 ] || usage
action=$1
shift
case $action:$# in
    up:0) up ;;
    down:0) down ;;
    host:0) echo "$net.1" ;;
    addr:1)
        check_number "$1"
        echo "$net.$((11 + $1))"
        ;;
    exec:*)
        [ $# -ge 2 ] || usage
        check_number "$1"
        n=$1
        shift
        exec ip netns exec "$prefix$n" "$@"
        ;;
    drop:1)
        n=$(number_at "$1")
        ip link set "$prefix-v$n" nomaster
        ;;
    join:1)
        n=$(number_at "$1")
        ip link set "$prefix-v$n" master "$prefix-br"
        ;;
    *) usage ;;
esac
