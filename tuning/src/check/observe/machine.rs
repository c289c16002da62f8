//! The kernel, the limits, the cores and the memory.

use std::path::Path;

use super::super::facts::{Cpu, Kernel, Limits, Memory, Reading, Unknown};
use super::{cgroup, chosen, count_of_list, line, number};

pub(super) fn kernel() -> Kernel {
    Kernel {
        release: line("/proc/sys/kernel/osrelease"),
        io_uring: runtime::probe::probe(None).map(drop),
    }
}

pub(super) fn limits() -> Limits {
    let text = line("/proc/self/limits");
    let hard = |name: &str| text.clone().and_then(|text| hard_limit(&text, name));
    Limits { locked_memory: hard("Max locked memory"), open_files: hard("Max open files") }
}

/// The hard limit in the line `name` of /proc/self/limits.
fn hard_limit(text: &str, name: &str) -> Reading<Option<u64>> {
    let values = text.lines().find_map(|line| line.strip_prefix(name));
    match values.and_then(|values| values.split_whitespace().nth(1)) {
        Some("unlimited") => Ok(None),
        Some(value) => value
            .parse()
            .map(Some)
            .map_err(|_| Unknown(format!("/proc/self/limits says `{value}` for `{name}`"))),
        None => Err(Unknown(format!("/proc/self/limits has no line `{name}`"))),
    }
}

pub(super) fn cpu() -> Cpu {
    let cores = runtime::allowed_cores();
    let governor =
        |core: &usize| line(format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"));
    let online = line("/sys/devices/system/cpu/online").and_then(|list| {
        count_of_list(&list).ok_or_else(|| Unknown(format!("cpu/online says `{list}`")))
    });
    Cpu {
        allowed: cores.len(),
        online,
        quota: cgroup::quota(Path::new("/")),
        governors: cores.iter().map(governor).collect(),
        clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

pub(super) fn memory() -> Memory {
    let modes = line("/sys/kernel/mm/transparent_hugepage/enabled");
    Memory {
        swap: line("/proc/swaps").map(|text| swap_bytes(&text)),
        swappiness: number("/proc/sys/vm/swappiness"),
        huge_pages: modes.and_then(|modes| {
            let chosen = chosen(&modes).map(str::to_owned);
            chosen.ok_or_else(|| Unknown(format!("transparent_hugepage says `{modes}`")))
        }),
    }
}

/// The sum of the sizes in /proc/swaps, which are KiB in the third column.
fn swap_bytes(text: &str) -> u64 {
    let sizes = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2));
    sizes.filter_map(|size| size.parse::<u64>().ok()).sum::<u64>() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n\
                    Max locked memory         8388608              unlimited            bytes     \n";
        assert_eq!(hard_limit(text, "Max open files"), Ok(Some(524_288)));
        assert_eq!(hard_limit(text, "Max locked memory"), Ok(None));
        assert!(hard_limit(text, "Max cpu time").is_err());
    }

    #[test]
    fn swap_is_added_up() {
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        assert_eq!(swap_bytes(head), 0);
        let two = format!("{head}/dev/sda2 partition 1024 0 -2\n/swapfile file 2048 8 -3\n");
        assert_eq!(swap_bytes(&two), 3 << 20);
    }
}
