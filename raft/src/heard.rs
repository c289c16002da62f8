//! How far a group had come, as this member has heard from its leaders, and when: by its own clock, whatever those of others say.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use model::LogIndex;
use runtime::Instant;

/// Between two notes.
const EVERY: Duration = Duration::from_secs(5);
/// When nothing was heard for so long, what comes next is the first again.
const GAP: Duration = Duration::from_secs(15);
/// Notes that are kept: of more than a minute.
const KEPT: usize = 16;

/// What was heard. Clones are the same.
#[derive(Clone, Default)]
pub struct Heard(Rc<RefCell<Notes>>);

#[derive(Default)]
struct Notes {
    /// The oldest first: when, and the index behind what was committed then.
    notes: VecDeque<(Instant, LogIndex)>,
    last: Option<Instant>,
}

impl Heard {
    /// A leader says that all before this index is committed, whether it is here or not.
    pub(crate) fn hear(&self, committed: LogIndex) {
        let Notes { notes, last } = &mut *self.0.borrow_mut();
        let now = runtime::now();
        if last.replace(now).is_some_and(|last| now - last > GAP) {
            notes.clear();
        }
        if notes.back().is_some_and(|(at, _)| now - *at < EVERY) {
            return;
        }
        if notes.len() == KEPT {
            notes.pop_front();
        }
        // One that was deposed, and does not know it yet, knows of less.
        let before = notes.back().map_or(LogIndex(0), |(_, committed)| *committed);
        notes.push_back((now, committed.max(before)));
        assert!(notes.len() <= KEPT, "a bounded queue");
    }

    /// Whether this member was there when that entry was committed, and it is not much longer ago than `age`. False if that is not known.
    ///
    /// # Panics
    /// When it is asked for more than a minute.
    #[must_use]
    pub fn is_news(&self, index: LogIndex, age: Duration) -> bool {
        assert!(age <= Duration::from_secs(60), "older notes are not kept");
        let notes = &self.0.borrow().notes;
        let before = notes.iter().rev().find(|(at, _)| at.elapsed() >= age);
        before.or(notes.front()).is_some_and(|(_, committed)| index >= *committed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use runtime::sim::Simulation;

    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    /// Hears of an entry more each second.
    async fn hear(heard: &Heard, entries: std::ops::Range<u64>) {
        for entry in entries {
            heard.hear(LogIndex(entry));
            runtime::sleep(Duration::from_secs(1)).await;
        }
    }

    #[test]
    fn news_is_what_was_committed_of_late_while_this_member_listened() {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let life = node.start("member", || async {
            let heard = Heard::default();
            assert!(!heard.is_news(LogIndex(0), AGE), "it has heard nothing");
            hear(&heard, 1000..1010).await;
            assert!(!heard.is_news(LogIndex(999), AGE), "that was there before");
            assert!(heard.is_news(LogIndex(1000), AGE) && heard.is_news(LogIndex(1009), AGE));
            hear(&heard, 1010..1200).await;
            assert!(!heard.is_news(LogIndex(1100), AGE), "that is long ago");
            assert!(heard.is_news(LogIndex(1150), AGE));
            // Others went on without it.
            runtime::sleep(AGE).await;
            hear(&heard, 5000..5002).await;
            assert!(!heard.is_news(LogIndex(4999), AGE) && heard.is_news(LogIndex(5000), AGE));
        });
        simulation.join(life, 10 * AGE).expect("it ends");
    }
}
