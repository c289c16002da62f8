//! One queue as a consumer sees it: what comes next, what has come.

use std::time::Duration;

use model::Record;
use runtime::Instant;

use crate::args::Consume;
use crate::recorder::{Broken, Recorder};
use crate::schedule::Schedule;

/// A queue and the consumer's place in it.
pub struct Queue {
    /// Queue number.
    pub id: i32,
    /// Offset of the next message to pull.
    pub next: i64,
    /// What the broker knows of the progress.
    pub committed: Option<i64>,
    /// Whether it is being told.
    pub committing: bool,
}

impl Queue {
    /// A queue that is read from `next` on.
    pub fn new(id: i32, next: i64) -> Queue {
        Queue { id, next, committed: None, committing: false }
    }

    /// The offset to store now; from then on it counts as being stored.
    pub fn begin_commit(&mut self) -> Option<i64> {
        if self.committing || self.committed == Some(self.next) {
            return None;
        }
        self.committing = true;
        Some(self.next)
    }

    /// Checks and counts the records of one pull; how many they were.
    pub fn found(
        &mut self,
        recorder: &mut Recorder,
        schedule: &Schedule,
        args: &Consume,
        at: Instant,
        body: &[u8],
    ) -> u64 {
        let now_millis = runtime::unix_millis();
        let mut rest = body;
        let mut taken = 0;
        while !rest.is_empty() {
            let Ok(record) = Record::parse(rest) else {
                recorder.tally.broken.unreadable += 1;
                break;
            };
            rest = &rest[record.bytes().len()..];
            self.check(&mut recorder.tally.broken, &record, args);
            let age = Duration::from_millis(now_millis.saturating_sub(record.born_time().0));
            let bytes = u64::try_from(record.body().len()).expect("a body is small");
            recorder.received(schedule, at, bytes, age);
            taken += 1;
        }
        taken
    }

    fn check(&mut self, broken: &mut Broken, record: &Record<'_>, args: &Consume) {
        let offset = i64::try_from(record.queue_offset().0).unwrap_or(i64::MAX);
        if offset < self.next {
            broken.duplicates += 1;
        } else {
            broken.missing += offset.abs_diff(self.next);
            self.next = offset.saturating_add(1);
        }
        if i64::from(record.queue_id().0) != i64::from(self.id) || record.topic() != args.run.topic
        {
            broken.wrong_queue += 1;
        }
        if record.check_body().is_err() {
            broken.bad_checksum += 1;
        }
        if args.size.is_some_and(|size| size != record.body().len()) {
            broken.wrong_size += 1;
        }
    }

    /// The broker has found messages and says where it goes on: behind the last of them, or it has skipped some.
    pub fn goes_on_at(&mut self, broken: &mut Broken, next: i64) {
        if next > self.next {
            broken.missing += next.abs_diff(self.next);
            self.next = next;
        }
    }

    /// Goes on elsewhere, and what lies between is no gap: the broker has found none and says where to go on, or the
    /// queue is read again.
    pub fn jump(&mut self, next: i64) {
        self.next = next;
    }
}
