//! Since when something is so, as one sees it who looks now and then. Plain state, no I/O.

use std::time::Duration;

use runtime::Instant;

/// Begins anew with each look at which it is not so.
#[derive(Debug, Default)]
pub(super) struct Since(Option<Instant>);

impl Since {
    /// For how long it has been so at each look; `None` if it is not.
    pub(super) fn look(&mut self, is_so: bool, now: Instant) -> Option<Duration> {
        self.0 = is_so.then(|| self.0.unwrap_or(now));
        self.0.map(|began| now.saturating_since(began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_so_for_a_moment_begins_anew() {
        let (mut since, begin, second) = (Since::default(), runtime::now(), Duration::from_secs(1));
        assert_eq!(since.look(false, begin), None);
        assert_eq!(since.look(true, begin + second), Some(Duration::ZERO));
        assert_eq!(since.look(true, begin + 4 * second), Some(3 * second));
        assert_eq!(since.look(false, begin + 5 * second), None);
        assert_eq!(since.look(true, begin + 6 * second), Some(Duration::ZERO));
    }
}
