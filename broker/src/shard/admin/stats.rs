//! What a shard counts, for the tools. The hot path adds numbers; one task looks at them every second.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::latency::Latency;
use super::window::{Counter, SmallCounter};
use crate::shard::Shard;

/// Topics, or pairs of group and topic, whose rates are counted at a time. Those without traffic for a minute
/// make room.
const MAX_RATES: usize = 200_000;
const DAY_MILLIS: u64 = 24 * 3600 * 1000;
/// Seconds between two samples of the rates of topics and groups.
const SMALL_EVERY: u64 = 10;

/// The counters of a shard.
#[derive(Debug)]
pub struct Stats {
    /// When the shard started, milliseconds since 1970.
    pub started_at: u64,
    /// Messages stored.
    pub stored: Counter,
    /// Bytes of their records.
    pub stored_bytes: Counter,
    /// Messages refused.
    pub refusals: Counter,
    /// From the arrival of a message to its answer.
    pub put_time: Latency,
    /// Pulls that returned messages.
    pub hits: Counter,
    /// Pulls that returned none.
    pub misses: Counter,
    /// Messages that pulls returned.
    pub pulled: Counter,
    /// Bytes of their records.
    pub pulled_bytes: Counter,
    /// From the arrival of a pull that returned messages, or of the first of them, to its answer.
    pub pull_time: Latency,
    topics: RefCell<HashMap<Rc<str>, SmallCounter>>,
    groups: RefCell<HashMap<String, HashMap<String, SmallCounter>>>,
    days: Cell<Days>,
}

/// Totals at the beginnings of days (UTC), since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// The day, counted from 1970.
    day: u64,
    /// Stored and pulled when yesterday began.
    pub yesterday: (u64, u64),
    /// Stored and pulled when today began.
    pub today: (u64, u64),
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// All zero, from now on.
    #[must_use]
    pub fn new() -> Self {
        Self::since(runtime::unix_millis())
    }

    /// All zero, from `now` on, in milliseconds since 1970.
    fn since(now: u64) -> Self {
        Self {
            started_at: now,
            stored: Counter::default(),
            stored_bytes: Counter::default(),
            refusals: Counter::default(),
            put_time: Latency::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            pulled: Counter::default(),
            pulled_bytes: Counter::default(),
            pull_time: Latency::default(),
            topics: RefCell::default(),
            groups: RefCell::default(),
            days: Cell::new(Days { day: now / DAY_MILLIS, ..Days::default() }),
        }
    }

    /// A message was stored: `bytes` of record, `took` from its arrival until now.
    pub fn stored(&self, topic: &Rc<str>, bytes: u32, took: Duration) {
        self.stored.add(1);
        self.stored_bytes.add(u64::from(bytes));
        self.put_time.note(took);
        let mut topics = self.topics.borrow_mut();
        if let Some(counter) = topics.get_mut(topic) {
            counter.add(1);
        } else if topics.len() < MAX_RATES {
            topics.entry(Rc::clone(topic)).or_default().add(1);
        }
    }

    /// A message was refused.
    pub fn refused(&self) {
        self.refusals.add(1);
    }

    /// A pull returned messages.
    pub fn pulled(&self, group: &str, topic: &str, messages: u64, bytes: u64, took: Duration) {
        self.pull_time.note(took);
        self.hits.add(1);
        self.pulled.add(messages);
        self.pulled_bytes.add(bytes);
        let mut groups = self.groups.borrow_mut();
        if let Some(counter) = groups.get_mut(group).and_then(|topics| topics.get_mut(topic)) {
            counter.add(messages);
        } else if groups.len() < MAX_RATES {
            let topics = groups.entry(group.to_owned()).or_default();
            if topics.len() < MAX_RATES {
                topics.entry(topic.to_owned()).or_default().add(messages);
            }
        }
    }

    /// A pull was answered without a message, at once or after waiting.
    pub fn missed(&self) {
        self.misses.add(1);
    }

    /// Messages a second that were stored in a topic in the last minute.
    #[must_use]
    pub fn topic_rate(&self, topic: &str) -> f64 {
        self.topics.borrow().get(topic).map_or(0.0, SmallCounter::rate)
    }

    /// Messages a second that a group pulled from a topic in the last minute.
    #[must_use]
    pub fn group_rate(&self, group: &str, topic: &str) -> f64 {
        let groups = self.groups.borrow();
        groups.get(group).and_then(|topics| topics.get(topic)).map_or(0.0, SmallCounter::rate)
    }

    /// Totals at the beginnings of days.
    #[must_use]
    pub fn days(&self) -> Days {
        self.days.get()
    }

    /// A second has passed: the `second`th since the start, at `now` in milliseconds since 1970.
    fn tick(&self, second: u64, now: u64) {
        for counter in [
            &self.stored,
            &self.stored_bytes,
            &self.refusals,
            &self.hits,
            &self.misses,
            &self.pulled,
            &self.pulled_bytes,
        ] {
            counter.sample();
        }
        if second.is_multiple_of(60) {
            self.put_time.next_minute();
            self.pull_time.next_minute();
        }
        if second.is_multiple_of(SMALL_EVERY) {
            self.topics.borrow_mut().retain(|_, counter| !counter.sample());
            self.groups.borrow_mut().retain(|_, topics| {
                topics.retain(|_, counter| !counter.sample());
                !topics.is_empty()
            });
        }
        self.days.set(self.days.get().at(
            now / DAY_MILLIS,
            self.stored.total(),
            self.pulled.total(),
        ));
    }
}

impl Days {
    fn at(self, day: u64, stored: u64, pulled: u64) -> Self {
        match day.checked_sub(self.day) {
            None | Some(0) => self,
            Some(1) => Self { day, yesterday: self.today, today: (stored, pulled) },
            // Nobody looked for a whole day: what came then is not known by day.
            Some(_) => Self { day, yesterday: (stored, pulled), today: (stored, pulled) },
        }
    }
}

/// Looks at the counters every second, for ever.
pub async fn sample(shard: Rc<Shard>) {
    let mut due = runtime::now();
    for second in 1.. {
        due += Duration::from_secs(1);
        runtime::sleep_until(due).await;
        shard.stats.tick(second, runtime::unix_millis());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_topics_and_groups_are_those_of_a_minute() {
        let stats = Stats::since(0);
        let topic: Rc<str> = Rc::from("T");
        for second in 1..=60 {
            stats.stored(&topic, 100, Duration::from_micros(300));
            stats.pulled("G", "T", 2, 200, Duration::from_micros(50));
            stats.tick(second, second * 1000);
        }
        assert_eq!(stats.topic_rate("T"), 1.0);
        assert_eq!(stats.group_rate("G", "T"), 2.0);
        assert_eq!(stats.group_rate("G", "U"), 0.0);
        assert_eq!((stats.stored.total(), stats.stored_bytes.total()), (60, 6000));
        assert_eq!((stats.hits.total(), stats.pulled.total()), (60, 120));
        for second in 61..=200 {
            stats.tick(second, second * 1000);
        }
        assert_eq!(stats.topic_rate("T"), 0.0);
        assert!(stats.topics.borrow().is_empty() && stats.groups.borrow().is_empty());
    }

    #[test]
    fn days_begin_at_midnight() {
        let days = Days { day: 10, ..Days::default() };
        assert_eq!(days.at(10, 5, 1), days);
        let first = days.at(11, 7, 3);
        assert_eq!((first.yesterday, first.today), ((0, 0), (7, 3)));
        let second = first.at(12, 20, 6);
        assert_eq!((second.yesterday, second.today), ((7, 3), (20, 6)));
        let late = second.at(15, 30, 9);
        assert_eq!((late.yesterday, late.today), ((30, 9), (30, 9)));
        assert_eq!(late.at(3, 40, 9), late, "a clock that went back changes nothing");
    }
}
