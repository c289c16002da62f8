//! What became of each probe.

use std::time::Duration;

use crate::failures::Failures;

/// A probe that is over. Times count from the beginning of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it was to be sent, whatever became of those before it.
    pub due: Duration,
    /// When it was sent; not before it was due.
    pub sent: Duration,
    /// When its acknowledgement was read, or it was given up.
    pub done: Duration,
    /// Queue number.
    pub queue: i32,
    /// Its offset in the queue, if it was acknowledged.
    pub offset: Option<i64>,
}

/// The probes to one group of brokers: to whichever of them leads it.
#[derive(Clone, Debug)]
pub struct Track {
    /// The broker name.
    pub name: String,
    /// In the order in which they were over.
    pub probes: Vec<Probe>,
    /// Those that failed since the last look, by kind.
    pub failures: Failures,
    /// Since when none has failed; `None` until the first one was acknowledged after a failure.
    pub well_since: Option<Duration>,
}

impl Track {
    /// A group without a probe yet.
    #[must_use]
    pub fn new(name: &str) -> Track {
        let name = name.to_owned();
        Track { name, probes: Vec::new(), failures: Failures::default(), well_since: None }
    }

    /// Adds a probe that was acknowledged.
    pub fn acknowledged(&mut self, probe: Probe) {
        assert!(probe.offset.is_some() && probe.due <= probe.sent && probe.sent <= probe.done);
        self.well_since.get_or_insert(probe.done);
        self.probes.push(probe);
    }

    /// Adds one that was not; `code` and `remark` say why.
    pub fn failed(&mut self, probe: Probe, code: Option<i32>, remark: &str) {
        assert!(probe.offset.is_none() && probe.due <= probe.sent && probe.sent <= probe.done);
        self.well_since = None;
        self.failures.note(code, remark, 1);
        self.probes.push(probe);
    }

    /// Whether every probe has been acknowledged for `settle` at `now`.
    #[must_use]
    pub fn is_well(&self, now: Duration, settle: Duration) -> bool {
        self.well_since.is_some_and(|since| since + settle <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(at: u64, offset: Option<i64>) -> Probe {
        let [due, sent, done] = [0, 1, 2].map(|more| Duration::from_millis(at + more));
        Probe { due, sent, done, queue: 0, offset }
    }

    #[test]
    fn a_group_is_well_when_nothing_has_failed_for_long_enough() {
        let ms = Duration::from_millis;
        let mut track = Track::new("a");
        assert!(!track.is_well(ms(1000), ms(1)), "nobody was asked yet");
        track.acknowledged(probe(0, Some(7)));
        assert!(track.is_well(ms(12), ms(10)) && !track.is_well(ms(11), ms(10)));
        track.failed(probe(10, None), Some(2), "busy");
        assert!(!track.is_well(ms(1000), ms(1)));
        track.acknowledged(probe(20, Some(8)));
        track.acknowledged(probe(30, Some(9)));
        assert!(track.is_well(ms(32), ms(10)) && !track.is_well(ms(31), ms(10)));
        assert_eq!((track.probes.len(), track.failures.total()), (4, 1));
    }
}
