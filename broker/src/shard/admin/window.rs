//! Counters and what they did in the last ten seconds, minute and ten minutes.

use std::cell::{Cell, RefCell};

/// Samples that are kept: one a second for ten minutes.
const SAMPLES: usize = 601;

/// How far back a rate looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Ten seconds.
    Short,
    /// A minute.
    Minute,
    /// Ten minutes.
    Long,
}

impl Span {
    fn seconds(self) -> usize {
        match self {
            Span::Short => 10,
            Span::Minute => 60,
            Span::Long => 600,
        }
    }
}

/// A number that only grows, with its history. Counting is one addition.
#[derive(Debug)]
pub struct Counter {
    total: Cell<u64>,
    history: RefCell<History>,
}

impl Default for Counter {
    /// Zero, and that is the first sample.
    fn default() -> Self {
        let history = History { samples: vec![0], next: 0 };
        Self { total: Cell::new(0), history: RefCell::new(history) }
    }
}

#[derive(Debug)]
struct History {
    /// Totals, a second apart; the oldest is overwritten.
    samples: Vec<u64>,
    /// Where the next one goes once all places are taken.
    next: usize,
}

impl Counter {
    /// Adds to it.
    pub fn add(&self, by: u64) {
        self.total.set(self.total.get().saturating_add(by));
    }

    /// Everything so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.get()
    }

    /// Notes the total. Call it once a second.
    pub fn sample(&self) {
        let mut history = self.history.borrow_mut();
        let total = self.total.get();
        if history.samples.len() < SAMPLES {
            history.samples.push(total);
        } else {
            let next = history.next;
            history.samples[next] = total;
            history.next = (next + 1) % SAMPLES;
        }
    }

    /// How much a second came in the span; over a shorter time while there is no longer history, and 0
    /// without any.
    #[must_use]
    pub fn rate(&self, span: Span) -> f64 {
        let history = self.history.borrow();
        let have = history.samples.len();
        if have < 2 {
            return 0.0;
        }
        let seconds = span.seconds().min(have - 1);
        let last = (history.next + have - 1) % have;
        let first = (last + have - seconds) % have;
        let grown = history.samples[last] - history.samples[first];
        #[allow(clippy::cast_precision_loss, reason = "a rate for people to look at")]
        let rate = grown as f64 / seconds as f64;
        rate
    }

    /// The three rates as tools print them: 10 s, 60 s, 600 s.
    #[must_use]
    pub fn rates(&self) -> String {
        let rate = |span| self.rate(span);
        format!("{} {} {}", rate(Span::Short), rate(Span::Minute), rate(Span::Long))
    }
}

/// The rates of two counters together, as tools print them.
#[must_use]
pub fn sum_of_rates(one: &Counter, other: &Counter) -> String {
    let rate = |span| one.rate(span) + other.rate(span);
    format!("{} {} {}", rate(Span::Short), rate(Span::Minute), rate(Span::Long))
}

/// A counter of which there are many: the last minute only, in steps of ten seconds.
#[derive(Clone, Debug)]
pub struct SmallCounter {
    total: u64,
    /// Totals, ten seconds apart, the newest last.
    samples: [u64; SMALL_SAMPLES],
    have: u8,
}

const SMALL_SAMPLES: usize = 7;

impl Default for SmallCounter {
    /// Zero, and that is the first sample.
    fn default() -> Self {
        Self { total: 0, samples: [0; SMALL_SAMPLES], have: 1 }
    }
}

impl SmallCounter {
    /// Adds to it.
    pub fn add(&mut self, by: u64) {
        self.total = self.total.saturating_add(by);
    }

    /// Everything so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Notes the total. Call it every ten seconds. True when nothing came for a minute.
    pub fn sample(&mut self) -> bool {
        self.samples.rotate_left(1);
        self.samples[SMALL_SAMPLES - 1] = self.total;
        self.have = (self.have + 1).min(7);
        usize::from(self.have) == SMALL_SAMPLES && self.samples[0] == self.total
    }

    /// How much a second came in the last minute, or since the first sample; 0 before the second one.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let have = usize::from(self.have);
        if have < 2 {
            return 0.0;
        }
        let grown = self.samples[SMALL_SAMPLES - 1] - self.samples[SMALL_SAMPLES - have];
        let steps = u32::try_from(have - 1).expect("at most seven");
        #[allow(clippy::cast_precision_loss, reason = "a rate for people to look at")]
        let rate = grown as f64 / f64::from(steps * 10);
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_look_back_as_far_as_there_is_history() {
        let counter = Counter::default();
        assert_eq!(counter.rates(), "0 0 0");
        counter.add(10);
        counter.sample();
        assert_eq!(counter.rates(), "10 10 10");
        for _ in 0..9 {
            counter.sample();
        }
        assert_eq!(counter.rates(), "1 1 1");
        counter.sample();
        assert_eq!(counter.rate(Span::Short), 0.0);
        assert!((counter.rate(Span::Minute) - 10.0 / 11.0).abs() < 1e-9);
    }

    #[test]
    fn ten_minutes_of_history_are_enough_for_ever() {
        let counter = Counter::default();
        for second in 0..5000_u64 {
            counter.add(second / 1000);
            counter.sample();
        }
        assert_eq!(counter.rates(), "4 4 4");
        assert_eq!(counter.history.borrow().samples.len(), SAMPLES);
        assert_eq!(counter.total(), 1000 * (1 + 2 + 3 + 4));
    }

    #[test]
    fn a_small_counter_knows_a_minute_and_when_it_is_idle() {
        let mut counter = SmallCounter::default();
        counter.add(60);
        assert!(!counter.sample());
        assert_eq!(counter.rate(), 6.0);
        for _ in 0..5 {
            assert!(!counter.sample());
        }
        assert_eq!(counter.rate(), 1.0);
        assert!(counter.sample());
        assert_eq!((counter.rate(), counter.total()), (0.0, 60));
    }
}
