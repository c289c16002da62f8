//! How far recovery has come, for whoever waits: a start reads what follows the newest checkpoint.

use model::PhysicalOffset;
use runtime::Instant;
use storage::{Applied, Recovery, What};

use super::Shard;
use crate::limits::RECOVERY_LINE_EVERY;

/// What came of a start, for operators. A member of a group flushes before it acknowledges, whatever flushDiskType says.
#[must_use]
pub fn in_words(recovery: &Recovery, in_group: bool) -> &'static str {
    match (recovery.new, recovery.clean, recovery.torn, in_group) {
        (true, ..) => "store created",
        (false, true, ..) => "clean start",
        (false, false, true, false) => {
            "unclean start, log recovered; an unfinished write at its end was cut. With SYNC_FLUSH \
             nothing acknowledged was in it, with ASYNC_FLUSH only a power cut can have taken some"
        }
        (false, false, true, true) => {
            "unclean start, log recovered; an unfinished write at its end was cut. Nothing that this member of the group has \
             acknowledged was in it"
        }
        (false, false, false, _) => "unclean start, log recovered; nothing was cut",
    }
}

/// Where a replay has come to. Says something every few seconds.
#[derive(Debug)]
pub struct Progress {
    /// Where the first message begins.
    start: Option<PhysicalOffset>,
    /// Behind the last message.
    at: PhysicalOffset,
    entries: u64,
    /// Of the last line.
    told: Instant,
    told_at: PhysicalOffset,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where reading began: at the first message.
    pub start: PhysicalOffset,
    /// Behind the last message that was read. Entries without messages do not name their place.
    pub at: PhysicalOffset,
    /// Entries read.
    pub entries: u64,
    /// Bytes a second since the last line.
    pub rate: u64,
}

impl Progress {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let zero = PhysicalOffset(0);
        Self { start: None, at: zero, entries: 0, told: now, told_at: zero }
    }

    /// An entry was read.
    pub fn applied(&mut self, applied: &Applied) {
        self.entries += 1;
        if let What::Messages(records) = &applied.what
            && let (Some(first), Some(last)) = (records.first(), records.last())
        {
            self.begins_at(first.physical);
            self.is_at(last.physical.plus(u64::from(last.size)));
        }
    }

    fn begins_at(&mut self, first: PhysicalOffset) {
        if self.start.is_none() {
            (self.start, self.at, self.told_at) = (Some(first), first, first);
        }
    }

    fn is_at(&mut self, at: PhysicalOffset) {
        assert!(at >= self.at, "a log is read forwards");
        self.at = at;
    }

    /// The next line, when one is due.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        let took = now - self.told;
        if took < RECOVERY_LINE_EVERY {
            return None;
        }
        let bytes = u128::from(self.at.since(self.told_at));
        let rate = u64::try_from(bytes * 1000 / took.as_millis().max(1)).unwrap_or(u64::MAX);
        (self.told, self.told_at) = (now, self.at);
        let start = self.start.unwrap_or(self.at);
        Some(Step { start, at: self.at, entries: self.entries, rate })
    }
}

/// Writes the line.
pub async fn tell(shard: &Shard, step: &Step) {
    let at_most = end_of_segments(shard).await.map(|end| end.saturating_sub(step.start.0));
    tracing::info!(
        shard = %shard.identity.name,
        read = step.at.since(step.start),
        // Segments have their full length from the beginning: the log ends in the last of them.
        at_most,
        offset = step.at.0,
        entries = step.entries,
        bytes_per_s = step.rate,
        "recovery reads the log"
    );
}

/// Where the newest segment ends; `None` if the directory does not tell.
async fn end_of_segments(shard: &Shard) -> Option<u64> {
    let entries = runtime::fs::list(&shard.identity.log_dir).await.ok()?;
    // A segment's name is its first offset in digits; what else lies there is named otherwise.
    let ends =
        entries.iter().filter_map(|file| file.name.parse::<u64>().ok()?.checked_add(file.len));
    ends.max()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_member_of_a_group_has_forgotten_nothing_that_it_acknowledged() {
        let recovery = Recovery {
            clean: false,
            new: false,
            entries: 1,
            records: 1,
            start: PhysicalOffset(0),
            end: PhysicalOffset(9),
            torn: true,
            took: std::time::Duration::ZERO,
        };
        assert!(in_words(&recovery, false).contains("with ASYNC_FLUSH only a power cut"));
        let of_member = in_words(&recovery, true);
        assert!(
            !of_member.contains("ASYNC_FLUSH") && of_member.contains("Nothing that this member")
        );
    }

    #[test]
    fn a_short_recovery_says_nothing_and_a_long_one_every_five_seconds() {
        let start = runtime::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut progress = Progress::new(start);
        progress.begins_at(PhysicalOffset(1000));
        progress.begins_at(PhysicalOffset(2000));
        progress.is_at(PhysicalOffset(900_000));
        assert_eq!(progress.step(at(4_999)), None);
        progress.is_at(PhysicalOffset(1_001_000));
        let step = Step {
            start: PhysicalOffset(1000),
            at: PhysicalOffset(1_001_000),
            entries: 0,
            rate: 200_000,
        };
        assert_eq!(progress.step(at(5_000)), Some(step));
        assert_eq!(progress.step(at(9_999)), None);
        progress.is_at(PhysicalOffset(2_001_000));
        let step = Step { at: PhysicalOffset(2_001_000), rate: 100_000, ..step };
        assert_eq!(progress.step(at(15_000)), Some(step), "the rate since the last line");
        let step = Step { rate: 0, ..step };
        assert_eq!(progress.step(at(20_000)), Some(step), "entries without messages");
    }
}
