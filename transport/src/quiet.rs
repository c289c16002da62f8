//! Log lines that a peer or a fault can cause again and again are limited in number.

use std::cell::Cell;
use std::time::Duration;

use runtime::Instant;

/// Lines about connections allowed in each window.
const LINES: u32 = 10;
/// Length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Lets through at most so many lines a second, and counts the others.
#[derive(Debug)]
pub struct Quiet {
    lines: u32,
    window: Cell<Option<Instant>>,
    said: Cell<u32>,
    dropped: Cell<u64>,
}

impl Default for Quiet {
    /// Ten lines a second.
    fn default() -> Self {
        Self::new(LINES)
    }
}

impl Quiet {
    /// At most `lines` lines a second, not zero.
    #[must_use]
    pub fn new(lines: u32) -> Self {
        assert!(lines > 0, "some lines are let through");
        Self { lines, window: Cell::default(), said: Cell::default(), dropped: Cell::default() }
    }

    /// Whether a line may be written now; if so, how many were not since the last one that was.
    pub fn may_say(&self, now: Instant) -> Option<u64> {
        let fresh = self.window.get().is_none_or(|began| now - began >= WINDOW);
        if fresh {
            self.window.set(Some(now));
            self.said.set(0);
        }
        if self.said.get() >= self.lines {
            self.dropped.set(self.dropped.get() + 1);
            return None;
        }
        self.said.set(self.said.get() + 1);
        Some(self.dropped.replace(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let quiet = Quiet::new(2);
        let start = runtime::now();
        let at = |millis| quiet.may_say(start + Duration::from_millis(millis));
        assert_eq!([at(0), at(1), at(2), at(999)], [Some(0), Some(0), None, None]);
        assert_eq!([at(1000), at(1001), at(1002)], [Some(2), Some(0), None]);
        assert_eq!(at(9000), Some(1));
    }
}
