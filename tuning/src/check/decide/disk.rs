//! The block device below the store.

use super::super::{Device, Reading, Row, Severity};

/// Schedulers that hand a request on or only sort it.
const LIGHT: [&str; 3] = ["none", "noop", "mq-deadline"];
/// Bytes of the smallest write of the log.
const BLOCK: u32 = 4096;

pub(super) fn scheduler(device: &Reading<Device>) -> Row {
    let required = "none (mq-deadline on a turning disk)";
    let (device, scheduler) = match device.as_ref().map(|device| (device, &device.scheduler)) {
        Err(why) | Ok((_, Err(why))) => return Row::unknown("I/O scheduler", required, why),
        Ok((device, Ok(scheduler))) => (device, scheduler.as_str()),
    };
    let row = Row::new("I/O scheduler", required, format!("{scheduler} on {}", device.name));
    let turns = device.rotational.as_ref().is_ok_and(|turns| *turns);
    let best = if turns { "mq-deadline" } else { "none" };
    if scheduler == best {
        return row;
    }
    let severity = if LIGHT.contains(&scheduler) { Severity::Info } else { Severity::Warning };
    let fix = format!(
        "`echo {best} > /sys/block/{}/queue/scheduler` as root (and a udev rule to keep it)",
        device.name
    );
    row.rated(severity, fix)
}

pub(super) fn write_cache(device: &Reading<Device>) -> Row {
    let required = "flushes are honoured";
    let (device, volatile) = match device.as_ref().map(|device| (device, &device.volatile_cache)) {
        Err(why) | Ok((_, Err(why))) => return Row::unknown("write cache", required, why),
        Ok((device, Ok(volatile))) => (device, *volatile),
    };
    let name = device.model.as_deref().unwrap_or(&device.name);
    if !volatile {
        return Row::new(
            "write cache",
            required,
            format!("none that a power cut empties ({name})"),
        );
    }
    let fua = match device.fua {
        Ok(true) => "with FUA",
        Ok(false) => "without FUA",
        Err(_) => "FUA unknown",
    };
    let fix = "every durable write waits for the cache to be flushed. Whether the disk, or the host of a virtual machine, really \
               does that cannot be seen from here: it must not run with an unsafe cache mode. `mqtune iotune DIR` shows \
               what it costs";
    Row::new("write cache", required, format!("volatile, {fua} ({name})"))
        .rated(Severity::Info, fix)
}

pub(super) fn block_rewrite(device: &Reading<Device>) -> Row {
    let required = "writing a block again does not destroy it";
    let physical = match device.as_ref().map(|device| &device.physical_block) {
        Err(why) | Ok(Err(why)) => return Row::unknown("block rewrite", required, why),
        Ok(Ok(physical)) => *physical,
    };
    let row = Row::new("block rewrite", required, format!("physical blocks of {physical} bytes"));
    if physical > BLOCK {
        let fix = "the disk writes larger blocks than the log, so a power cut during a write may take neighbours that were \
                   acknowledged: use a disk with blocks of 4096 bytes or less, or one that is protected against power loss";
        return row.rated(Severity::Warning, fix);
    }
    let fix = "assumed, and not to be seen from here: the last block of the log is written again as it fills, and a power cut \
               in the middle must leave each of its sectors old or new, never unreadable. Disks with power-loss protection \
               and those of the large clouds do so";
    row.rated(Severity::Info, fix)
}
