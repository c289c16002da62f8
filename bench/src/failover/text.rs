//! The result as text.

use std::fmt::{self, Display, Formatter};

use super::result::{Fault, GroupWindow, Lengths, Outages};
use crate::failures::Failure;
use crate::report::millis;

impl Display for Outages {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let early = if self.interrupted { ", ended early" } else { "" };
        let (faults, groups) = (self.faults.len(), self.groups.join(", "));
        writeln!(f, "failover: {faults} faults, probes to {groups}{early}")?;
        for fault in &self.faults {
            of_fault(f, fault)?;
        }
        lengths(f, "window of the group that was struck", &self.struck)?;
        lengths(f, "from the fault to its end", &self.after_fault)?;
        lengths(f, "window of the other groups", &self.others)?;
        lengths(f, "longest after the heal", &self.after_heal)?;
        lengths(f, "longest after a heal that changed the leader again", &self.led_back)?;
        if let Some(quiet) = self.quiet_ms {
            writeln!(f, "  before the first fault: {}", millis(quiet))?;
        }
        writeln!(
            f,
            "  probes sent {}, acknowledged {}, failed {}; own delay at most {}",
            self.sent,
            self.acked,
            self.errors,
            millis(self.late_max_ms)
        )?;
        kinds(f, "  ", &self.errors_by_code)?;
        self.audit(f)?;
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        for unmet in &self.unmet {
            writeln!(f, "  NOT MET: {unmet}")?;
        }
        Ok(())
    }
}

impl Outages {
    fn audit(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(audit) = &self.audit {
            writeln!(
                f,
                "  audit: {} looked for, lost {}, twice {}, groups with misplaced ones {}, unacknowledged but there {}",
                audit.looked_for, audit.lost, audit.twice, audit.misplaced, audit.unacknowledged
            )?;
        }
        if self.broken.total() > 0 {
            writeln!(f, "  BROKEN: {:?}", self.broken)?;
        }
        Ok(())
    }
}

fn of_fault(f: &mut Formatter<'_>, fault: &Fault) -> fmt::Result {
    let pid = fault.pid.map_or(String::new(), |pid| format!(", process {pid}"));
    let Fault { number, at_s, broker, addr, .. } = fault;
    writeln!(f, "  fault {number} at {at_s:.3} s: {broker} at {addr}{pid}")?;
    let or_nobody = |addr: &Option<String>| addr.clone().unwrap_or_else(|| "nobody".to_owned());
    write!(f, "    then led by {}", or_nobody(&fault.addr_after))?;
    if fault.heal_at_s.is_some() {
        write!(f, ", after the heal by {}", or_nobody(&fault.addr_after_heal))?;
    }
    writeln!(f)?;
    for window in &fault.groups {
        let GroupWindow { group, failed, .. } = window;
        let or_dash = |value: Option<f64>| value.map_or("-".to_owned(), millis);
        let least = if window.is_open() { "≥ " } else { "" };
        write!(f, "    {group}: window {least}{}", or_dash(window.window_ms))?;
        write!(f, ", from the fault to its end {least}{}", or_dash(window.after_fault_ms))?;
        if let Some(heal) = window.heal_window_ms {
            let least = if window.heal_to_s.is_none() { "≥ " } else { "" };
            write!(f, ", longest after the heal {least}{}", millis(heal))?;
        }
        writeln!(f, ", {failed} probes failed")?;
    }
    kinds(f, "    ", &fault.errors_by_code)
}

fn lengths(f: &mut Formatter<'_>, name: &str, lengths: &Lengths) -> fmt::Result {
    let (Some(median), Some(worst)) = (lengths.median_ms, lengths.worst_ms) else { return Ok(()) };
    let open =
        if lengths.open > 0 { format!(", {} not over", lengths.open) } else { String::new() };
    let count = lengths.all_ms.len();
    writeln!(f, "  {name}: median {}, worst {} of {count}{open}", millis(median), millis(worst))
}

fn kinds(f: &mut Formatter<'_>, indent: &str, kinds: &[Failure]) -> fmt::Result {
    for kind in kinds {
        let code = kind.code.map(|code| format!("code {code} ")).unwrap_or_default();
        let name = kind.name.map(|name| format!("{name}: ")).unwrap_or_default();
        writeln!(f, "{indent}{} × {code}{name}{}", kind.count, kind.remark)?;
    }
    Ok(())
}
