//! What the kernel may do with a broker's memory.

use super::super::{Memory, Row, Severity};
use super::bytes;

/// With swap space: how little the kernel should want to use it.
const SWAPPINESS_MAX: u32 = 10;

pub(super) fn swap(memory: &Memory) -> Row {
    let required = "none, or vm.swappiness of at most 10";
    let swap = match &memory.swap {
        Err(why) => return Row::unknown("swap", required, why),
        Ok(0) => return Row::new("swap", required, "none"),
        Ok(swap) => bytes(*swap),
    };
    let fix = "a shard whose memory was swapped out stands still until it is back: `swapoff -a`, or `sysctl \
               vm.swappiness=1`, as root (and in /etc/sysctl.d to keep it)";
    match &memory.swappiness {
        Err(why) => {
            let current = format!("{swap}, swappiness unknown: {why}");
            Row::new("swap", required, current).rated(Severity::Warning, fix)
        }
        Ok(swappiness) => {
            let row = Row::new("swap", required, format!("{swap}, swappiness {swappiness}"));
            if *swappiness <= SWAPPINESS_MAX { row } else { row.rated(Severity::Warning, fix) }
        }
    }
}

pub(super) fn huge_pages(memory: &Memory) -> Row {
    let required = "madvise or never";
    let mode = match &memory.huge_pages {
        Err(why) => return Row::unknown("transparent huge pages", required, why),
        Ok(mode) => mode,
    };
    let row = Row::new("transparent huge pages", required, mode.as_str());
    if mode != "always" {
        return row;
    }
    let fix = "the kernel stops the process to put pages together, and memory grows: `echo madvise > \
               /sys/kernel/mm/transparent_hugepage/enabled` as root";
    row.rated(Severity::Warning, fix)
}
