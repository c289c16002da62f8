//! When to remind the operator of a NameServer that is away.

use std::time::Duration;

use runtime::Instant;

/// The first line comes at once, the second after this time.
const FIRST: Duration = Duration::from_secs(60);
/// The others follow each other after this time.
const NEXT: Duration = Duration::from_secs(600);

/// A NameServer that is away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    since: Instant,
    due: Instant,
}

impl Away {
    /// From now on.
    pub(super) fn since(now: Instant) -> Self {
        Self { since: now, due: now + FIRST }
    }

    /// For how long, in whole seconds.
    pub(super) fn lasted(&self, now: Instant) -> Duration {
        Duration::from_secs((now - self.since).as_secs())
    }

    /// Whether it is time for a line.
    pub(super) fn reminds(&mut self, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + NEXT;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_minute_and_then_every_ten() {
        let start = runtime::now();
        let mut away = Away::since(start);
        let mut reminded = Vec::new();
        for second in (0..3000).step_by(5) {
            let now = start + Duration::from_secs(second);
            if away.reminds(now) {
                assert_eq!(away.lasted(now), Duration::from_secs(second));
                reminded.push(second);
            }
        }
        assert_eq!(reminded, [60, 660, 1260, 1860, 2460]);
    }
}
