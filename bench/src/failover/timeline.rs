//! The course of the probes, for a plot.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::probe::{Probe, Track};
use crate::limits::{POINTS_MAX, PROBE_STEP};
use crate::report::curve::round;

/// How many probes of each group were due in each step, by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeline {
    /// Seconds of a step.
    pub step_s: f64,
    /// Group by group.
    pub groups: Vec<Lines>,
}

/// Those of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lines {
    /// The broker name.
    pub group: String,
    /// Acknowledged probes that were due in each step, from the beginning of the run on.
    pub acked: Vec<u32>,
    /// Probes that failed.
    pub failed: Vec<u32>,
}

impl Timeline {
    /// Of these groups; a long run has longer steps.
    #[must_use]
    pub fn of(tracks: &[Track]) -> Timeline {
        let probes = tracks.iter().flat_map(|track| &track.probes);
        let last = probes.map(|probe| probe.due).max().unwrap_or_default();
        let points = u32::try_from(POINTS_MAX).expect("a small number");
        let step = PROBE_STEP.max(last / (points - 1));
        let count = steps(last, step) + 1;
        assert!(count <= POINTS_MAX, "a plot has {count} points");
        let groups = tracks.iter().map(|track| {
            let mut lines =
                Lines { group: track.name.clone(), acked: vec![0; count], failed: vec![0; count] };
            track.probes.iter().for_each(|probe| lines.add(probe, step));
            lines
        });
        Timeline { step_s: round(step.as_secs_f64()), groups: groups.collect() }
    }
}

impl Lines {
    fn add(&mut self, probe: &Probe, step: Duration) {
        let line = if probe.offset.is_some() { &mut self.acked } else { &mut self.failed };
        line[steps(probe.due, step)] += 1;
    }
}

fn steps(time: Duration, step: Duration) -> usize {
    usize::try_from(time.as_nanos() / step.as_nanos()).expect("bounded by the length of the step")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(due: Duration, is_acked: bool) -> Probe {
        Probe { due, sent: due, done: due, queue: 0, offset: is_acked.then_some(0) }
    }

    #[test]
    fn each_probe_is_in_the_step_in_which_it_was_due() {
        let mut track = Track::new("a");
        for (millis, is_acked) in [(0, true), (99, true), (100, false), (350, true)] {
            track.probes.push(probe(Duration::from_millis(millis), is_acked));
        }
        let timeline = Timeline::of(&[track, Track::new("b")]);
        assert_eq!(timeline.step_s, 0.1);
        let lines = &timeline.groups[0];
        assert_eq!((&lines.acked[..], &lines.failed[..]), (&[2, 0, 0, 1][..], &[0, 1, 0, 0][..]));
        assert_eq!(timeline.groups[1].acked, [0; 4]);
        assert_eq!(Timeline::of(&[]).groups, []);
    }

    #[test]
    fn a_long_run_has_longer_steps_and_loses_nothing() {
        let mut track = Track::new("a");
        for second in 0..=7201 {
            track.probes.push(probe(Duration::from_secs(second), second % 2 == 0));
        }
        let timeline = Timeline::of(&[track]);
        let lines = &timeline.groups[0];
        assert!(lines.acked.len() <= POINTS_MAX && timeline.step_s > 6.0);
        let sums = [&lines.acked, &lines.failed].map(|line| line.iter().sum::<u32>());
        assert_eq!(sums, [3601, 3601]);
    }
}
