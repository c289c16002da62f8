//! The result as one JSON object.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::demands::{listed, no_other_leader, unmet};
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
    /// Whom the route named as the leader when it was healed; without a heal, before the next fault, or in the end.
    pub led_by: Option<String>,
    /// Its heal.
    pub heal: Option<Healed>,
    /// Probes that failed from then until the next fault, by group.
    pub failures: Vec<Failures>,
}

/// The end of a fault.
pub struct Healed {
    /// When its command was started.
    pub at: Duration,
    /// How long the command took.
    pub took: Duration,
    /// Whom the route named as the leader before the next fault, or in the end.
    pub led_by: Option<String>,
}

impl Struck {
    /// One whose consequences are not known yet.
    #[must_use]
    pub fn new(leader: Leader, at: Duration, took: Duration) -> Struck {
        Struck { leader, at, unix_ms: 0, took, led_by: None, heal: None, failures: Vec::new() }
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
    /// The longest gaps of the struck groups that begin after the heals.
    pub after_heal: Lengths,
    /// Those among them after whose heal the leader changed once more, as when a preferred one gets its office back.
    pub led_back: Lengths,
    /// The longest gap of any group before the first fault: what these numbers are without any.
    pub quiet_ms: Option<f64>,
    /// Fault by fault.
    pub faults: Vec<Fault>,
    /// The numbers of those after which, until their heal, the route named no other leader: the same one still, or nobody.
    pub unmoved: Vec<u32>,
    /// What the flags demand (`--new-leader`, `--median`, `--worst`) and this run does not meet.
    pub unmet: Vec<String>,
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
    /// Whom the route named as its leader when it was healed, or, without a heal, before the next fault; `null`: nobody.
    pub addr_after: Option<String>,
    /// Whom after the heal, before the next fault or when the probes ended; `null`: nobody, or there was no heal.
    pub addr_after_heal: Option<String>,
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
    /// The longest gap that begins between the heal and the next fault. An open one is at least so long.
    pub heal_window_ms: Option<f64>,
    /// Where that begins.
    pub heal_from_s: Option<f64>,
    /// Where it ends; `null` if it does not.
    pub heal_to_s: Option<f64>,
    /// Probes that failed until the next fault.
    pub failed: u64,
}

impl GroupWindow {
    /// Whether the group was still away when the probes ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.from_s.is_some() && self.to_s.is_none()
    }

    fn of_fault(&self) -> Option<(f64, bool)> {
        Some((self.window_ms?, self.is_open()))
    }

    fn since_fault(&self) -> Option<(f64, bool)> {
        Some((self.after_fault_ms?, self.is_open()))
    }

    fn of_heal(&self) -> Option<(f64, bool)> {
        Some((self.heal_window_ms?, self.heal_to_s.is_none()))
    }
}

impl Lengths {
    /// Of these windows; `length` says which number of them counts, and whether that window was not over.
    fn of<'a>(
        windows: impl Iterator<Item = &'a GroupWindow>,
        length: impl Fn(&GroupWindow) -> Option<(f64, bool)>,
    ) -> Lengths {
        let (mut all, mut open) = (Vec::new(), 0);
        for (millis, is_open) in windows.filter_map(length) {
            all.push(millis);
            open += u64::from(is_open);
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
            phases.extend(fault.heal.as_ref().map(|heal| phase(heal.at, false)));
        }
        let acks = Acks::new(&track.probes);
        let mut longest = acks.longest(&phases).into_iter();
        let mut next = || longest.next().expect("one for each phase");
        let quiet = next();
        let faults = struck.iter().map(|fault| (next(), fault.heal.as_ref().and_then(|_| next())));
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
            heal_from_s: heal.map(|gap| seconds(gap.from)),
            heal_to_s: heal.and_then(|gap| gap.to).map(seconds),
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
        let windows = |is_struck: bool| faults.iter().flat_map(move |one| one.windows(is_struck));
        let led_back = faults.iter().filter(|fault| fault.is_led_back());
        let led_back = led_back.flat_map(|fault| fault.windows(true));
        let quiet = gaps.iter().filter_map(|gaps| Some(gaps.acks.at_least(&gaps.quiet?))).max();
        let sent: usize = tracks.iter().map(|track| track.probes.len()).sum();
        let sent = u64::try_from(sent).expect("a count fits");
        let errors = all.total();
        let mut outages = Outages {
            mode: "failover",
            groups: tracks.iter().map(|track| track.name.clone()).collect(),
            struck: Lengths::of(windows(true), GroupWindow::of_fault),
            after_fault: Lengths::of(windows(true), GroupWindow::since_fault),
            others: Lengths::of(windows(false), GroupWindow::of_fault),
            after_heal: Lengths::of(windows(true), GroupWindow::of_heal),
            led_back: Lengths::of(led_back, GroupWindow::of_heal),
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
            unmoved: unmoved(&faults, record.interrupted),
            unmet: Vec::new(),
            faults,
        };
        outages.unmet = unmet(args, &outages);
        outages.note_open();
        outages.note_traceless();
        outages.note_unmoved();
        outages
    }

    fn note_open(&mut self) {
        let open = self.struck.open + self.others.open + self.after_heal.open;
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
            fault
                .windows(true)
                .all(|w| w.failed == 0 && w.window_ms.is_some_and(|window| window <= 2.0 * quiet))
        };
        let traceless = self.faults.iter().filter(is_traceless);
        let numbers: Vec<u32> = traceless.map(|fault| fault.number).collect();
        if !numbers.is_empty() {
            self.notes.push(format!(
                "no trace of fault {} in the probes: did --fault strike the leader?",
                listed(&numbers)
            ));
        }
    }

    /// Nor are windows of worth in which nobody had to take over.
    fn note_unmoved(&mut self) {
        if !self.unmoved.is_empty() {
            self.notes.push(no_other_leader(&self.unmoved));
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

    /// Why it counts as failed, if it does. However long the windows are, that is no failure, unless the flags say so.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        if self.broken.total() > 0 {
            return Some(format!("the brokers broke promises: {:?}", self.broken));
        }
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        if !self.unmet.is_empty() {
            return Some(self.unmet.join("; "));
        }
        (self.acked == 0 && !self.interrupted).then(|| "not one probe was acknowledged".to_owned())
    }
}

impl Fault {
    fn new(struck: Struck, groups: Vec<GroupWindow>) -> Fault {
        let Struck { leader, at, unix_ms, took, led_by, heal, failures } = struck;
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
            addr_after: led_by,
            heal_at_s: heal.as_ref().map(|heal| seconds(heal.at)),
            heal_command_ms: heal.as_ref().map(|heal| millis(heal.took)),
            addr_after_heal: heal.and_then(|heal| heal.led_by),
            groups,
            errors_by_code: all.into_kinds(),
        }
    }

    /// The windows of the group whose leader was struck, or those of the others.
    fn windows(&self, is_struck: bool) -> impl Iterator<Item = &GroupWindow> {
        self.groups.iter().filter(move |window| window.is_struck == is_struck)
    }

    /// Whether another one led after it than before it.
    fn is_moved(&self) -> bool {
        self.addr_after.as_ref().is_some_and(|after| *after != self.addr)
    }

    /// Whether another one led after the heal than before the heal.
    fn is_led_back(&self) -> bool {
        self.addr_after_heal.is_some() && self.addr_after_heal != self.addr_after
    }
}

/// The faults after which nobody else led. Of a run that somebody ended the last one had no time for it.
fn unmoved(faults: &[Fault], interrupted: bool) -> Vec<u32> {
    let judged = faults.len().saturating_sub(usize::from(interrupted));
    let unmoved = faults[..judged].iter().filter(|fault| !fault.is_moved());
    unmoved.map(|fault| fault.number).collect()
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
