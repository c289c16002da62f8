//! Log lines about what clients do again and again: one line for each kind in ten seconds, with the number of
//! times since the line before it. What is held back is told at the end of the ten seconds, or at the stop.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use remoting::ResponseCode;
use runtime::Instant;

use super::Shard;
use crate::limits::{MAX_NOTICE_TEXT, NOTICE_EVERY};

/// What a line is about. There are no more kinds than response codes, so that nothing grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// A send that wants no answer was refused with this code.
    OnewayRefused(ResponseCode),
    /// A question for a consumer offset got no answer.
    OffsetUnanswered,
    /// A topic of a sibling shard was not created.
    SiblingsTopic,
    /// A consumer gave a message back (`CONSUMER_SEND_MSG_BACK`).
    SendBack,
}

/// The lines of a shard.
#[derive(Debug, Default)]
pub struct Notices {
    kept: RefCell<BTreeMap<Notice, Kept>>,
}

/// A kind that had a line.
#[derive(Debug)]
struct Kept {
    line: Instant,
    /// How often it happened since.
    since: u64,
    /// The first of these.
    text: String,
}

/// A line to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How often it happened since the last line of its kind, this time included.
    pub times: u64,
    /// What happened, why, and what to do; of one of these times.
    pub text: String,
}

impl Notices {
    /// Notes that it happened; the line, if one is due. `text` is called for a line only, or for what the
    /// next line will say.
    pub fn note(&self, now: Instant, what: Notice, text: impl FnOnce() -> String) -> Option<Line> {
        let mut kept = self.kept.borrow_mut();
        let Some(known) = kept.get_mut(&what) else {
            kept.insert(what, Kept { line: now, since: 0, text: String::new() });
            return Some(Line { times: 1, text: text() });
        };
        if known.since == 0 {
            known.text = text();
        }
        known.since += 1;
        (now - known.line >= NOTICE_EVERY).then(|| known.take(now))
    }

    /// The lines about what happened since the last ones: those that are due, or all.
    pub fn held_back(&self, now: Instant, all: bool) -> Vec<Line> {
        let mut kept = self.kept.borrow_mut();
        let told = |known: &&mut Kept| known.since > 0 && (all || now - known.line >= NOTICE_EVERY);
        kept.values_mut().filter(told).map(|known| known.take(now)).collect()
    }
}

impl Kept {
    fn take(&mut self, now: Instant) -> Line {
        assert!(self.since > 0, "a line tells of something");
        self.line = now;
        Line { times: std::mem::take(&mut self.since), text: std::mem::take(&mut self.text) }
    }
}

/// Notes that it happened, and writes the line if one is due.
pub fn note(shard: &Shard, what: Notice, text: impl FnOnce() -> String) {
    if let Some(line) = shard.notices.note(runtime::now(), what, text) {
        say(shard, &line);
    }
}

/// Writes what was held back, for ever.
pub async fn run(shard: Rc<Shard>) {
    loop {
        runtime::sleep(NOTICE_TICK).await;
        shard.notices.held_back(runtime::now(), false).iter().for_each(|line| say(&shard, line));
    }
}

/// Writes all that was held back: the shard stops.
pub fn last(shard: &Shard) {
    shard.notices.held_back(runtime::now(), true).iter().for_each(|line| say(shard, line));
}

/// How often it is looked whether a line is due.
const NOTICE_TICK: Duration = Duration::from_secs(1);
const _: () = assert!(NOTICE_TICK.as_millis() < NOTICE_EVERY.as_millis());

fn say(shard: &Shard, line: &Line) {
    tracing::warn!(shard = %shard.identity.name, times = line.times, "{}", line.text);
}

/// A name that a client sent, for a log line: one line, and not too long.
#[must_use]
pub fn name(from_client: &str) -> String {
    let end = from_client.floor_char_boundary(MAX_NOTICE_TEXT);
    let more = if end < from_client.len() { "…" } else { "" };
    format!("`{}{more}`", from_client[..end].escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Notice = Notice::OnewayRefused(ResponseCode::MessageIllegal);
    const BUSY: Notice = Notice::OnewayRefused(ResponseCode::SystemBusy);

    fn line(times: u64, text: &str) -> Line {
        Line { times, text: text.to_owned() }
    }

    #[test]
    fn one_line_in_ten_seconds_for_each_kind() {
        let (notices, start) = (Notices::default(), runtime::now());
        let note = |seconds, what, text: &str| {
            notices.note(start + Duration::from_secs(seconds), what, || text.to_owned())
        };
        assert_eq!(note(0, SENT, "a"), Some(line(1, "a")));
        assert_eq!(note(0, SENT, "b"), None);
        assert_eq!(note(1, BUSY, "c"), Some(line(1, "c")), "another kind has its own line");
        assert_eq!(note(9, SENT, "d"), None);
        assert_eq!(note(10, SENT, "e"), Some(line(3, "b")), "the first since the last line");
        assert_eq!(note(11, SENT, "f"), None);
        assert_eq!(note(25, SENT, "g"), Some(line(2, "f")));
        assert_eq!(note(40, SENT, "h"), Some(line(1, "h")));
    }

    #[test]
    fn what_is_held_back_is_told_in_the_end() {
        let (notices, start) = (Notices::default(), runtime::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for text in ["a", "b", "c"] {
            drop(notices.note(at(0), SENT, || text.to_owned()));
        }
        drop(notices.note(at(0), BUSY, || "alone".to_owned()));
        assert_eq!(notices.held_back(at(9), false), []);
        assert_eq!(notices.held_back(at(10), false), [line(2, "b")]);
        assert_eq!(notices.held_back(at(100), true), [], "once");
        assert_eq!(notices.note(at(101), BUSY, || "x".to_owned()), Some(line(1, "x")));
        drop(notices.note(at(102), BUSY, || "y".to_owned()));
        assert_eq!(notices.held_back(at(102), true), [line(1, "y")]);
    }

    #[test]
    fn names_of_clients_make_no_lines_of_their_own() {
        assert_eq!(name("T"), "`T`");
        assert_eq!(name("T\n2026 INFO all is well"), "`T\\n2026 INFO all is well`");
        let long = name(&"ä".repeat(1000));
        assert!(long.len() <= MAX_NOTICE_TEXT + 5 && long.ends_with("…`"), "{long}");
    }
}
