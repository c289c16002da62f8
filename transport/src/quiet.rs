//! Log lines that a peer can cause are limited in number.

use std::cell::Cell;
use std::time::Duration;

use runtime::Instant;

/// Lines allowed in each window.
const LINES: u32 = 10;
/// Length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Lets through at most ten lines a second.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    window: Cell<Option<Instant>>,
    said: Cell<u32>,
    dropped: Cell<u64>,
}

impl Quiet {
    /// Whether a line may be written now; if so, how many were not since the last one that was.
    pub(crate) fn may_say(&self, now: Instant) -> Option<u64> {
        let fresh = self.window.get().is_none_or(|began| now - began >= WINDOW);
        if fresh {
            self.window.set(Some(now));
            self.said.set(0);
        }
        if self.said.get() >= LINES {
            self.dropped.set(self.dropped.get() + 1);
            return None;
        }
        self.said.set(self.said.get() + 1);
        Some(self.dropped.replace(0))
    }
}
