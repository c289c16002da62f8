//! Cores, how fast they run, and the clock.

use super::super::{Cpu, Row, Severity};

/// Clock sources that a process reads without entering the kernel.
const QUICK_CLOCKS: [&str; 4] =
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

pub(super) fn cores(cpu: &Cpu) -> Row {
    let required = "one core for each shard";
    match &cpu.online {
        Err(_) => Row::new("cores", required, format!("{} allowed", cpu.allowed)),
        Ok(online) if cpu.allowed < *online => {
            let current = format!("{} allowed of {online}", cpu.allowed);
            let fix = "the CPU set of this process leaves cores out (taskset, cpuset, --cpuset-cpus); a broker started \
                       the same way has at most that many shards";
            Row::new("cores", required, current).rated(Severity::Info, fix)
        }
        Ok(_) => Row::new("cores", required, format!("{} allowed, all there are", cpu.allowed)),
    }
}

pub(super) fn quota(cpu: &Cpu) -> Row {
    let required = "none, or as much as the allowed cores";
    let quota = match &cpu.quota {
        Err(why) => return Row::unknown("CPU quota", required, why),
        Ok(None) => return Row::new("CPU quota", required, "none"),
        Ok(Some(quota)) => *quota,
    };
    let row = Row::new("CPU quota", required, format!("{quota:.2} cores' worth"));
    if quota + 1e-9 >= cpu.allowed as f64 {
        return row;
    }
    let fix = format!(
        "when it is used up the kernel stops every shard for the rest of its period, some 10 to 100 ms: allow whole cores \
         instead (`--cpuset-cpus` for a container, `AllowedCPUs=` in the systemd unit), raise it (`--cpus {0}`, \
         `CPUQuota={0}00%`), or set `shards` to at most {1}",
        cpu.allowed,
        (quota.max(1.0)).floor()
    );
    row.rated(Severity::Warning, fix)
}

pub(super) fn governor(cpu: &Cpu) -> Row {
    let required = "performance";
    let governors = match &cpu.governors {
        Err(why) => return Row::unknown("CPU governor", required, why),
        Ok(governors) => governors,
    };
    let mut names: Vec<&str> = governors.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let row = Row::new("CPU governor", required, names.join(", "));
    if names == ["performance"] {
        return row;
    }
    let fix = "a core that sleeps deep or runs slow answers late: `cpupower frequency-set -g performance` as root";
    row.rated(Severity::Warning, fix)
}

pub(super) fn clock(cpu: &Cpu) -> Row {
    let required = "one that is read without a system call";
    let source = match &cpu.clock_source {
        Err(why) => return Row::unknown("clock source", required, why),
        Ok(source) => source,
    };
    let row = Row::new("clock source", required, source.as_str());
    if QUICK_CLOCKS.contains(&source.as_str()) {
        return row;
    }
    let fix = "a broker asks for the time with every message: see what there is with `cat \
               /sys/devices/system/clocksource/clocksource0/available_clocksource`, and choose with `echo tsc > \
               /sys/devices/system/clocksource/clocksource0/current_clocksource` as root";
    row.rated(Severity::Warning, fix)
}
