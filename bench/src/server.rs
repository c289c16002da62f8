//! What the server's processes use, as the kernel tells it.

#![allow(clippy::disallowed_methods, reason = "/proc of other processes, which no simulation has")]

use std::time::Duration;

use serde::Serialize;

use crate::args::Pids;

/// The unit of CPU times in `/proc`: `USER_HZ`, a hundredth of a second wherever Linux runs on a server.
const TICK: Duration = Duration::from_millis(10);

/// CPU time and memory of some processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// User and system time since they were started, to a hundredth of a second each.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
}

/// What the server used in the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServerUse {
    /// CPU time in seconds, of all processes.
    pub cpu_s: f64,
    /// CPU time for one measured message.
    pub cpu_us_per_msg: Option<f64>,
    /// Resident memory at the end, in bytes.
    pub resident_bytes: u64,
}

/// What these processes have used up to now; `None` if one of them is gone or not to be read.
#[must_use]
pub fn look(pids: &Pids) -> Option<Use> {
    pids.0.iter().try_fold(Use::default(), |sum, pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = resident(&status)?;
        Some(Use { cpu: sum.cpu + cpu(&stat)?, resident: sum.resident + resident })
    })
}

/// utime and stime, fields 14 and 15. The second field is a name in parentheses that may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * ticks()?.checked_add(ticks()?)?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_a_name_that_may_hold_anything() {
        let stat =
            "17 (a ) b (c) 1 2) S 1 17 17 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 100 1 2 3";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!((cpu("17 (x) S 1 2"), cpu("")), (None, None));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\nThreads: 1\n"), Some(2 << 20));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_uses_something_and_one_that_is_gone_nothing() {
        let own = std::process::id();
        let one = look(&Pids(vec![own])).unwrap();
        assert!(one.resident > 1 << 20);
        let two = look(&Pids(vec![own, own])).unwrap();
        assert!(two.resident >= one.resident && two.cpu >= one.cpu);
        assert_eq!(look(&Pids(vec![own, u32::MAX])), None);
    }
}
