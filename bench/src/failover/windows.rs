//! How long a group was away.
//!
//! From each acknowledgement a gap goes to the first acknowledgement of a probe that was *due after it*. A fault's window is
//! the longest of the gaps that begin in its time: from the last acknowledgement before the fault on, that one included, until its
//! heal; without one until the next fault, or the end of the run. So what is still answered after a fault to probes from before it does not
//! end a window, and a window that only the heal ends is the fault's.

use std::time::Duration;

use super::probe::Probe;

/// A time in which nothing new was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The acknowledgement before it.
    pub from: Duration,
    /// The acknowledgement that ended it; `None` if none did until the probes ended.
    pub to: Option<Duration>,
}

/// A part of the run, until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// When it begins.
    pub at: Duration,
    /// Whether the gap that it begins in is its own: that of a fault is, for all was well before.
    pub owns_gap: bool,
}

/// The acknowledgements of a group.
pub struct Acks {
    /// When they came, ascending.
    done: Vec<Duration>,
    /// When a probe was due, ascending, and the first acknowledgement of it or of one that was due later.
    back: Vec<(Duration, Duration)>,
    /// When the last probe was due, acknowledged or not.
    last_due: Duration,
}

impl Acks {
    /// Those among `probes`, which may come in any order.
    #[must_use]
    pub fn new(probes: &[Probe]) -> Acks {
        let acked = probes.iter().filter(|probe| probe.offset.is_some());
        let mut back: Vec<_> = acked.map(|probe| (probe.due, probe.done)).collect();
        let mut done: Vec<_> = back.iter().map(|(_, done)| *done).collect();
        done.sort_unstable();
        back.sort_unstable();
        let mut first = Duration::MAX;
        for (_, done) in back.iter_mut().rev() {
            first = first.min(*done);
            *done = first;
        }
        let last_due = probes.iter().map(|probe| probe.due).max().unwrap_or_default();
        Acks { done, back, last_due }
    }

    /// How many had come at `at`.
    fn count_until(&self, at: Duration) -> usize {
        self.done.partition_point(|done| *done <= at)
    }

    /// The gap from the acknowledgement at `from`; `None` if no probe was due after it.
    fn gap(&self, from: Duration) -> Option<Gap> {
        let next = self.back.partition_point(|(due, _)| *due <= from);
        let to = self.back.get(next).map(|(_, back)| *back);
        (to.is_some() || from < self.last_due).then_some(Gap { from, to })
    }

    fn length(&self, gap: &Gap) -> Duration {
        gap.to.unwrap_or(self.last_due).saturating_sub(gap.from)
    }

    /// The longest gap of each phase; these are in their order, and each lasts until the next. `None` for one in which no gap
    /// begins: it lies in the gap of one before it, or the group was never there.
    #[must_use]
    pub fn longest(&self, phases: &[Phase]) -> Vec<Option<Gap>> {
        assert!(phases.is_sorted_by_key(|phase| phase.at), "phases follow each other");
        let first_of = |phase: &Phase| {
            let before = self.count_until(phase.at);
            if phase.owns_gap { before.saturating_sub(1) } else { before }
        };
        let mut taken = 0;
        let mut windows = Vec::with_capacity(phases.len());
        for (index, phase) in phases.iter().enumerate() {
            let first = first_of(phase).max(taken);
            // Its own gap stays its own, also if nothing comes until the next phase begins.
            let own = phase.owns_gap && first < self.count_until(phase.at);
            let after = phases.get(index + 1);
            let next = after.map_or(self.done.len(), first_of);
            taken = next.max(first + usize::from(own));
            // Before a fault each of several acknowledgements may begin a gap that goes through it: it is the fault's.
            let limit = after.filter(|after| after.owns_gap).map(|after| after.at);
            let is_in_it = |gap: &Gap| {
                limit.is_none_or(|limit| gap.to.is_some_and(|to| to <= limit))
                    || (own && gap.from == self.done[first])
            };
            let gaps = self.done[first..taken].iter().filter_map(|from| self.gap(*from));
            let gaps = gaps.filter(is_in_it);
            // Of several that are as long, the first.
            windows.push(gaps.rev().max_by_key(|gap| self.length(gap)));
        }
        windows
    }

    /// How long a gap is; one that is open, at least.
    #[must_use]
    pub fn at_least(&self, gap: &Gap) -> Duration {
        self.length(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn probe(due: u64, done: u64, is_acked: bool) -> Probe {
        let offset = is_acked.then_some(0);
        Probe { due: ms(due), sent: ms(due), done: ms(done), queue: 0, offset }
    }

    /// A probe every 5 ms from 0 to `until`; those due in one of `away` fail, the others take 1 ms.
    fn course(until: u64, away: &[(u64, u64)]) -> Vec<Probe> {
        let is_away = |due: u64| away.iter().any(|(from, to)| (*from..*to).contains(&due));
        let due = (0..until).step_by(5);
        due.map(
            |due| {
                if is_away(due) { probe(due, due + 100, false) } else { probe(due, due + 1, true) }
            },
        )
        .collect()
    }

    /// The windows of phases that begin at these times: of faults, or of heals where they are negative.
    fn told(probes: &[Probe], phases: &[i64]) -> Vec<Option<(u64, Option<u64>)>> {
        let phase = |at: &i64| Phase { at: ms(at.unsigned_abs()), owns_gap: *at >= 0 };
        let phases: Vec<_> = phases.iter().map(phase).collect();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let windows = Acks::new(probes).longest(&phases);
        windows.iter().map(|gap| gap.map(|gap| (millis(gap.from), gap.to.map(millis)))).collect()
    }

    #[test]
    fn a_window_goes_from_the_last_acknowledgement_before_to_the_first_of_a_later_probe() {
        // The fault at 102 does its work at 110; the group is back at 400.
        let probes = course(1000, &[(110, 400)]);
        assert_eq!(told(&probes, &[50, 102]), [Some((46, Some(51))), Some((106, Some(401)))]);
    }

    #[test]
    fn gaps_of_probes_that_overlap_go_to_the_fault_that_they_meet() {
        // Each takes 12 ms, so that three are on their way at any time.
        let mut probes = course(1000, &[(495, 700)]);
        probes.iter_mut().for_each(|probe| probe.done = probe.done.max(probe.due + ms(12)));
        let expect = [Some((97, Some(112))), Some((502, Some(712)))];
        assert_eq!(told(&probes, &[100, 503]), expect);
    }

    #[test]
    fn an_outage_is_seen_although_no_probe_fails() {
        // Everything stands still from 102 to 152, and then all that waited is answered.
        let mut probes = course(300, &[]);
        for probe in &mut probes {
            if (ms(102)..ms(152)).contains(&probe.done) {
                probe.done = ms(152);
            }
        }
        assert_eq!(told(&probes, &[102]), [Some((101, Some(152)))]);
    }

    #[test]
    fn an_answer_to_an_older_probe_does_not_end_a_window() {
        let mut probes = course(300, &[(105, 200)]);
        // Sent before the fault, and answered late.
        probes.push(probe(99, 140, true));
        // From the acknowledgement at 140 as well nothing new comes until 201; the gap from 101 is the longer one.
        assert_eq!(told(&probes, &[102]), [Some((101, Some(201)))]);
    }

    #[test]
    fn what_a_heal_breaks_is_its_own() {
        let probes = course(1000, &[(105, 300), (610, 650)]);
        let expect = [Some((101, Some(301))), Some((606, Some(651)))];
        assert_eq!(told(&probes, &[102, -604]), expect);
    }

    #[test]
    fn a_window_that_a_heal_ends_belongs_to_the_fault() {
        let probes = course(1000, &[(105, 520)]);
        let expect = [Some((101, Some(521))), Some((521, Some(526)))];
        assert_eq!(told(&probes, &[102, -500]), expect);
        // It was felt only after three more probes.
        let probes = course(1000, &[(120, 520)]);
        assert_eq!(told(&probes, &[102, -500])[0], Some((116, Some(521))));
    }

    #[test]
    fn a_fault_without_a_heal_lasts_until_the_next() {
        let probes = course(1000, &[(120, 300), (505, 600)]);
        let expect = [Some((116, Some(301))), Some((501, Some(601)))];
        assert_eq!(told(&probes, &[102, 502]), expect);
    }

    #[test]
    fn a_group_that_does_not_come_back_has_an_open_window() {
        let probes = course(1000, &[(105, 1000)]);
        assert_eq!(told(&probes, &[102, -500, 600]), [Some((101, None)), None, None]);
        assert_eq!(told(&probes, &[102, 500, 600]), [Some((101, None)), None, None]);
        let acks = Acks::new(&probes);
        assert_eq!(acks.at_least(&Gap { from: ms(101), to: None }), ms(995 - 101));
    }

    #[test]
    fn the_end_of_the_probes_is_no_window() {
        let probes = course(100, &[]);
        assert_eq!(told(&probes, &[50]), [Some((46, Some(51)))]);
    }

    #[test]
    fn a_group_that_never_was_there_has_no_window() {
        assert_eq!(told(&course(100, &[(0, 100)]), &[10, 20]), [None, None]);
        assert_eq!(told(&[], &[10]), [None]);
        // The first acknowledgement comes after both.
        assert_eq!(told(&course(200, &[(0, 100)]), &[10, 20]), [None, Some((101, Some(106)))]);
    }

    #[test]
    fn probes_may_come_in_any_order() {
        let mut probes = course(1000, &[(110, 400), (700, 720)]);
        let straight = told(&probes, &[50, 102, 600]);
        probes.sort_by_key(|probe| probe.due.as_nanos().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7);
        assert_eq!(told(&probes, &[50, 102, 600]), straight);
    }
}
