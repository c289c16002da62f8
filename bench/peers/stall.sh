#!/usr/bin/env bash
# A disk that stands still, for one process alone: its writes wait in the kernel until it goes on, those of others do not. By the
# throttle of cgroups, version 1 (blkio) or 2 (io). Needs root, and a kernel with CONFIG_BLK_DEV_THROTTLING.
set -euo pipefail

usage() {
    cat >&2 <<'END'
usage: stall.sh stall PID DIR   from now on, writes of the process to the device of DIR wait
       stall.sh go PID          they go on; the process need not be there any more
       stall.sh all-go DIR      those of all processes go on that were stalled for this DIR
       stall.sh check DIR       whether this machine can do that
END
    exit 2
}

die() { echo "stall.sh: $*" >&2; exit 1; }

# The device, as MAJOR:MINOR, whose requests are throttled: that of a whole disk.
device_of() {
    local device
    device=$(findmnt -nro MAJ:MIN -T "$1") || die "no file system is found for $1"
    [ -e "/sys/dev/block/$device" ] || die "$1 lies on $device, which is no disk"
    if [ -e "/sys/dev/block/$device/partition" ]; then device=$(cat "/sys/dev/block/$device/../dev"); fi
    echo "$device"
}

# Where the throttle is, and what it is called there.
if [ -e /sys/fs/cgroup/blkio/cgroup.procs ]; then
    root=/sys/fs/cgroup/blkio version=1
else
    root=/sys/fs/cgroup version=2
fi

check() {
    [ "$(id -u)" = 0 ] || die "a throttle needs root"
    device_of "$1" >/dev/null
    case $version in
        1) [ -e "$root/blkio.throttle.write_bps_device" ] || die "this kernel has no throttle for disks" ;;
        2)
            grep -qw io "$root/cgroup.controllers" 2>/dev/null || die "the controller io of cgroups is not there"
            check_throttle
            ;;
    esac
}

# Whether groups of version 2 have the throttle: only one that is made tells.
check_throttle() {
    local group=$root/turbopump-check-$$ found=""
    { echo +io >"$root/cgroup.subtree_control"; } 2>/dev/null || die "the controller io cannot be given to groups below $root"
    mkdir "$group"
    if [ -e "$group/io.max" ]; then found=yes; fi
    rmdir "$group"
    [ -n "$found" ] || die "this kernel has no throttle for disks"
}

check_pid() { case $1 in "" | *[!0-9]*) die "$1 is no process id" ;; esac; }

# One byte a second: a write waits for longer than anybody does.
stall() {
    local pid=$1 device group
    check_pid "$pid"
    check "$2"
    device=$(device_of "$2")
    group=$root/turbopump-stall-$pid
    # Where it gets back to, and for which directory it is: both are there before anything waits.
    {
        if [ "$version" = 2 ]; then sed -n 's/^0:://p' "/proc/$pid/cgroup"; else echo /; fi
        realpath "$2"
    } >"/run/turbopump-stall-$pid"
    # A stall that fails half-way leaves nothing.
    trap 'code=$?; if [ "$code" != 0 ]; then go "'"$pid"'"; fi' EXIT
    mkdir -p "$group"
    if [ "$version" = 1 ]; then
        echo "$device 1" >"$group/blkio.throttle.write_bps_device"
    else
        echo "$device wbps=1" >"$group/io.max"
    fi
    echo "$pid" >"$group/cgroup.procs"
}

# What a group is throttled by is told by the group itself.
throttled_in() {
    if [ "$version" = 1 ]; then cat "$1/blkio.throttle.write_bps_device"; else cat "$1/io.max"; fi | cut -d' ' -f1
}

go() {
    local pid=$1 group device back=/ note=/run/turbopump-stall-$1
    check_pid "$pid"
    group=$root/turbopump-stall-$pid
    if [ ! -d "$group" ]; then
        rm -f "$note"
        return 0
    fi
    for device in $(throttled_in "$group"); do
        if [ "$version" = 1 ]; then
            echo "$device 0" >"$group/blkio.throttle.write_bps_device"
        else
            echo "$device wbps=max" >"$group/io.max"
        fi
    done
    if [ -f "$note" ]; then back=$(head -n 1 "$note"); fi
    back=$root${back%/}
    # It may have ended.
    echo "$pid" 2>/dev/null >"$back/cgroup.procs" || true
    # A group goes when the last of its processes has been looked after.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        rmdir "$group" 2>/dev/null && break
        sleep 0.1
    done
    rm -f "$note"
}

all_go() {
    local note dir
    dir=$(realpath "$1")
    for note in /run/turbopump-stall-*; do
        [ -f "$note" ] || continue
        # Others may be those of another run.
        if [ "$(sed -n 2p "$note")" = "$dir" ]; then go "${note##*-}"; fi
    done
}

case ${1:-}:$# in
    stall:3) stall "$2" "$3" ;;
    go:2) go "$2" ;;
    all-go:2) all_go "$2" ;;
    check:2) check "$2" ;;
    *) usage ;;
esac
