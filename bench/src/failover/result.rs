//! The result as one JSON object.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::operator::Leader;
use super::order::out_of_order;
use super::probe::Track;
use super::timeline::Timeline;
use super::windows::{Acks, Gap, Phase};
use crate::args::Failover;
use crate::audit::Findings;
use crate::failures::{Failure, Failures};
use crate::limits::PROBE_LATE_WARN;
use crate::recorder::Broken;
use crate::report::curve::{float, round};
use crate::study::Spread;

/// A fault that was made. Times count from the beginning of the run.
pub struct Struck {
    /// Whom.
    pub leader: Leader,
    /// When its command was started.
    pub at: Duration,
    /// The same in milliseconds since 1970.
    pub unix_ms: u64,
    /// How long the command took.
    pub took: Duration,
    /// When the healing command was started, and how long it took.
    pub heal: Option<(Duration, Duration)>,
    /// Probes that failed from then until the next fault, by group.
    pub failures: Vec<Failures>,
}

impl Struck {
    /// One whose consequences are not known yet.
    #[must_use]
    pub fn new(leader: Leader, at: Duration, took: Duration) -> Struck {
        Struck { leader, at, unix_ms: 0, took, heal: None, failures: Vec::new() }
    }
}

/// Everything that was seen.
pub struct Record {
    /// The probes, by group.
    pub tracks: Vec<Track>,
    /// The faults, in their order.
    pub struck: Vec<Struck>,
    /// Probes that failed before the first one.
    pub before: Failures,
    /// From when on all was well before the first one.
    pub quiet_from: Duration,
    /// What reading back has shown, if that was possible.
    pub audit: Option<Findings>,
    /// Acknowledgements that name another queue.
    pub wrong_queue: u64,
    /// How late the latest probe was sent.
    pub latest: Duration,
    /// Readings of the route without an answer.
    pub route_unanswered: u64,
    /// Why it ended early.
    pub trouble: Option<String>,
    /// Whether somebody ended it early.
    pub interrupted: bool,
}

/// What `failover` says. Names that end in `_ms` are milliseconds, in `_s` seconds since the first probe was due.
#[derive(Clone, Debug, Serialize)]
pub struct Outages {
    /// `failover`.
    pub mode: &'static str,
    /// The groups (broker names).
    pub groups: Vec<String>,
    /// Windows of the groups whose leader was struck.
    pub struck: Lengths,
    /// From a fault to the end of the struck group's window: what an operator calls the failover time.
    pub after_fault: Lengths,
    /// Windows of the other groups; nothing with a single one.
    pub others: Lengths,
    /// The longest gap of any group before the first fault: what these numbers are without any.
    pub quiet_ms: Option<f64>,
    /// Fault by fault.
    pub faults: Vec<Fault>,
    /// Probes sent.
    pub sent: u64,
    /// Of them, acknowledged with code 0 in time.
    pub acked: u64,
    /// The others.
    pub errors: u64,
    /// The same by kind, the most frequent first.
    pub errors_by_code: Vec<Failure>,
    /// How late a probe was sent at most, because of `mqbench` itself.
    pub late_max_ms: f64,
    /// What the brokers promised and did not keep.
    pub broken: Broken,
    /// What reading back has shown.
    pub audit: Option<Findings>,
    /// Why it ended early.
    pub trouble: Option<String>,
    /// Whether it was ended early by a signal.
    pub interrupted: bool,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// The flags.
    pub parameters: Value,
    /// The course of the probes.
    pub timeline: Timeline,
}

/// Several windows, and what they come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lengths {
    /// The middle one; between two, their mean. `null` without any.
    pub median_ms: Option<f64>,
    /// The longest.
    pub worst_ms: Option<f64>,
    /// All, in the order of the faults.
    pub all_ms: Vec<f64>,
    /// How many of them were not over when the probes ended: these were longer than the number says.
    pub open: u64,
}

/// A fault and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// Its number, from 1.
    pub number: u32,
    /// When its command was started.
    pub at_s: f64,
    /// The same in milliseconds since 1970.
    pub unix_ms: u64,
    /// The group that was struck.
    pub broker: String,
    /// Its leader.
    pub addr: String,
    /// The leader's process, if it was looked up.
    pub pid: Option<u32>,
    /// How long the command took.
    pub command_ms: f64,
    /// When the healing command was started.
    pub heal_at_s: Option<f64>,
    /// How long it took.
    pub heal_command_ms: Option<f64>,
    /// Group by group.
    pub groups: Vec<GroupWindow>,
    /// Probes of all groups that failed until the next fault, by kind.
    pub errors_by_code: Vec<Failure>,
}

/// What a fault did to a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupWindow {
    /// Broker name.
    pub group: String,
    /// Whether it was its leader that was struck.
    pub is_struck: bool,
    /// The window; `null` if none begins in the fault's time. An open one is at least so long.
    pub window_ms: Option<f64>,
    /// Where it begins.
    pub from_s: Option<f64>,
    /// Where it ends; `null` if it does not.
    pub to_s: Option<f64>,
    /// From the fault to its end.
    pub after_fault_ms: Option<f64>,
    /// The longest gap that begins between the heal and the next fault.
    pub heal_window_ms: Option<f64>,
    /// Probes that failed until the next fault.
    pub failed: u64,
}

impl GroupWindow {
    /// Whether the group was still away when the probes ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.from_s.is_some() && self.to_s.is_none()
    }
}

impl Lengths {
    /// Of these windows; `length` says which number of them counts.
    fn of<'a>(
        windows: impl Iterator<Item = &'a GroupWindow>,
        length: impl Fn(&GroupWindow) -> Option<f64>,
    ) -> Lengths {
        let (mut all, mut open) = (Vec::new(), 0);
        for window in windows {
            let Some(millis) = length(window) else { continue };
            all.push(millis);
            open += u64::from(window.is_open());
        }
        let spread = Spread::new("", "", all.clone());
        let (median_ms, worst_ms) =
            (spread.as_ref().map(|spread| spread.median), spread.map(|spread| spread.max));
        Lengths { median_ms, worst_ms, all_ms: all, open }
    }
}

/// What is known of the windows of a group: the phases are the quiet before, and each fault and its heal.
struct Gaps {
    acks: Acks,
    quiet: Option<Gap>,
    /// The window of each fault, and of its heal.
    faults: Vec<(Option<Gap>, Option<Gap>)>,
}

impl Gaps {
    fn of(track: &Track, quiet_from: Duration, struck: &[Struck]) -> Gaps {
        let phase = |at, owns_gap| Phase { at, owns_gap };
        let mut phases = vec![phase(quiet_from, true)];
        for fault in struck {
            phases.push(phase(fault.at, true));
            phases.extend(fault.heal.map(|(at, _)| phase(at, false)));
        }
        let acks = Acks::new(&track.probes);
        let mut longest = acks.longest(&phases).into_iter();
        let mut next = || longest.next().expect("one for each phase");
        let quiet = next();
        let faults = struck.iter().map(|fault| (next(), fault.heal.and_then(|_| next())));
        let faults = faults.collect();
        Gaps { acks, quiet, faults }
    }

    /// What fault `index` did to group `group`.
    fn window(&self, index: usize, fault: &Struck, group: (usize, &str)) -> GroupWindow {
        let (number, name) = group;
        let (window, heal) = self.faults[index];
        let length = |gap: Gap| self.acks.at_least(&gap);
        let end = window.map(|gap| gap.from + length(gap));
        GroupWindow {
            group: name.to_owned(),
            is_struck: fault.leader.broker == name,
            window_ms: window.map(|gap| millis(length(gap))),
            from_s: window.map(|gap| seconds(gap.from)),
            to_s: window.and_then(|gap| gap.to).map(seconds),
            after_fault_ms: end.map(|end| millis(end.saturating_sub(fault.at))),
            heal_window_ms: heal.map(|gap| millis(length(gap))),
            failed: fault.failures.get(number).map_or(0, Failures::total),
        }
    }
}

impl Outages {
    /// What a run has come to.
    #[must_use]
    pub fn new(args: &Failover, record: Record) -> Outages {
        let Record { tracks, struck, before, quiet_from, audit, latest, .. } = record;
        let gaps: Vec<Gaps> =
            tracks.iter().map(|track| Gaps::of(track, quiet_from, &struck)).collect();
        let mut all = before;
        let mut faults = Vec::with_capacity(struck.len());
        for (index, fault) in struck.into_iter().enumerate() {
            let named = tracks.iter().map(|track| track.name.as_str()).enumerate();
            let windows = gaps.iter().zip(named);
            let windows = windows.map(|(gaps, group)| gaps.window(index, &fault, group)).collect();
            fault.failures.iter().for_each(|some| all.merge(some.clone()));
            faults.push(Fault::new(fault, windows));
        }
        let windows = |is_struck: bool| {
            let windows = faults.iter().flat_map(|fault| &fault.groups);
            windows.filter(move |window| window.is_struck == is_struck)
        };
        let quiet = gaps.iter().filter_map(|gaps| Some(gaps.acks.at_least(&gaps.quiet?))).max();
        let sent: usize = tracks.iter().map(|track| track.probes.len()).sum();
        let sent = u64::try_from(sent).expect("a count fits");
        let errors = all.total();
        let mut outages = Outages {
            mode: "failover",
            groups: tracks.iter().map(|track| track.name.clone()).collect(),
            struck: Lengths::of(windows(true), |window| window.window_ms),
            after_fault: Lengths::of(windows(true), |window| window.after_fault_ms),
            others: Lengths::of(windows(false), |window| window.window_ms),
            quiet_ms: quiet.map(millis),
            sent,
            acked: sent.checked_sub(errors).expect("each failure is a probe"),
            errors,
            errors_by_code: all.into_kinds(),
            late_max_ms: millis(latest),
            broken: broken(&tracks, audit.as_ref(), record.wrong_queue),
            audit,
            trouble: record.trouble,
            interrupted: record.interrupted,
            notes: notes(latest, record.route_unanswered),
            parameters: serde_json::to_value(args).expect("flags are plain values"),
            timeline: Timeline::of(&tracks),
            faults,
        };
        outages.note_open();
        outages.note_traceless();
        outages
    }

    fn note_open(&mut self) {
        let open = self.struck.open + self.others.open;
        if open > 0 {
            self.notes.push(format!(
                "{open} windows were not over when the probes ended: they are longer than the numbers say"
            ));
        }
    }

    /// A command that strikes nobody gives splendid windows.
    fn note_traceless(&mut self) {
        let quiet = self.quiet_ms.unwrap_or(0.0);
        let is_traceless = |fault: &&Fault| {
            let mut struck = fault.groups.iter().filter(|window| window.is_struck);
            struck.all(|w| w.failed == 0 && w.window_ms.is_some_and(|window| window <= 2.0 * quiet))
        };
        let traceless = self.faults.iter().filter(is_traceless);
        let numbers: Vec<String> = traceless.map(|fault| fault.number.to_string()).collect();
        if !numbers.is_empty() {
            self.notes.push(format!(
                "no trace of fault {} in the probes: did --fault strike the leader?",
                numbers.join(", ")
            ));
        }
    }

    /// The object as one line of JSON.
    ///
    /// # Panics
    /// Never: its parts are plain values.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain values")
    }

    /// Why it counts as failed, if it does. However long the windows are, that is no failure.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        if self.broken.total() > 0 {
            return Some(format!("the brokers broke promises: {:?}", self.broken));
        }
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        (self.acked == 0 && !self.interrupted).then(|| "not one probe was acknowledged".to_owned())
    }
}

impl Fault {
    fn new(struck: Struck, groups: Vec<GroupWindow>) -> Fault {
        let Struck { leader, at, unix_ms, took, heal, failures } = struck;
        let mut all = Failures::default();
        failures.into_iter().for_each(|some| all.merge(some));
        Fault {
            number: leader.number,
            at_s: seconds(at),
            unix_ms,
            broker: leader.broker,
            addr: leader.addr,
            pid: leader.pid,
            command_ms: millis(took),
            heal_at_s: heal.map(|(at, _)| seconds(at)),
            heal_command_ms: heal.map(|(_, took)| millis(took)),
            groups,
            errors_by_code: all.into_kinds(),
        }
    }
}

fn broken(tracks: &[Track], audit: Option<&Findings>, wrong_queue: u64) -> Broken {
    let offsets_not_rising = tracks.iter().map(|track| out_of_order(&track.probes)).sum();
    let mut broken = Broken { offsets_not_rising, wrong_queue, ..Broken::default() };
    if let Some(findings) = audit {
        findings.blame(&mut broken);
    }
    broken
}

fn notes(latest: Duration, route_unanswered: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if latest >= PROBE_LATE_WARN {
        notes.push(format!(
            "mqbench sent a probe {latest:.0?} after its time: so much of a window may be its own; give it a core"
        ));
    }
    if route_unanswered > 0 {
        notes.push(format!("no NameServer answered {route_unanswered} readings of the route"));
    }
    notes
}

fn millis(time: Duration) -> f64 {
    round(float(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)) / 1e3)
}

fn seconds(time: Duration) -> f64 {
    round(time.as_secs_f64())
}

#[cfg(test)]
#[path = "result_tests.rs"]
mod tests;
