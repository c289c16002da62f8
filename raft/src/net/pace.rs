//! How fast those get the log who only catch up: so many bytes a second, all of them together.

use std::cell::Cell;
use std::time::Duration;

use runtime::{Instant, now};

/// The longest wait at a time: a rate that was raised meanwhile is noticed after that.
const LOOK: Duration = Duration::from_millis(50);

/// A limit of bytes a second. What is sent is paid afterwards: a piece goes out whole, and the next one waits until the time
/// that it takes at this rate is over. Nothing is saved up for later.
pub(super) struct Pace {
    rate: Cell<u64>,
    /// Bytes that are not paid yet, at `since`.
    debt: Cell<u64>,
    since: Cell<Instant>,
}

impl Pace {
    /// So many bytes a second, which are not 0.
    pub(super) fn new(rate: u64) -> Self {
        let pace = Self { rate: Cell::new(1), debt: Cell::new(0), since: Cell::new(now()) };
        pace.set_rate(rate);
        pace
    }

    pub(super) fn rate(&self) -> u64 {
        self.rate.get()
    }

    /// Another rate from now on, for what is not paid yet, too.
    pub(super) fn set_rate(&self, rate: u64) {
        assert!(rate > 0, "nobody would ever catch up");
        self.pay();
        self.rate.set(rate);
    }

    /// So much is sent.
    pub(super) fn spend(&self, bytes: usize) {
        self.pay();
        self.debt.set(self.debt.get().saturating_add(bytes as u64));
    }

    /// Whether more has to wait.
    pub(super) fn is_spent(&self) -> bool {
        self.pay();
        self.debt.get() > 0
    }

    /// Waits until what was sent is paid, or a moment if that takes longer. Cancel safe.
    pub(super) async fn wait(&self) {
        let nanos = u128::from(self.debt.get()) * NANOS / u128::from(self.rate.get());
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        runtime::sleep(due.clamp(Duration::from_micros(100), LOOK)).await;
    }

    /// Time has passed, and pays.
    fn pay(&self) {
        let passed = now().saturating_since(self.since.get());
        let paid = passed.as_nanos() * u128::from(self.rate.get()) / NANOS;
        let paid = u64::try_from(paid).unwrap_or(u64::MAX);
        // Less than a byte stays to be counted with what comes.
        if paid > 0 || self.debt.get() == 0 {
            self.since.set(now());
            self.debt.set(self.debt.get().saturating_sub(paid));
        }
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use runtime::sim::Simulation;

    use super::*;

    /// How long it takes to send so many pieces, in virtual time.
    fn takes(pieces: usize, bytes: usize, rate: u64, raised: Option<u64>) -> Duration {
        let world = Simulation::new(1);
        let node = world.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let sent = node.start("test", move || async move {
            let (pace, began) = (Pace::new(rate), now());
            for piece in 0..pieces {
                while pace.is_spent() {
                    pace.wait().await;
                }
                pace.spend(bytes);
                if let Some(rate) = raised.filter(|_| piece == pieces / 2) {
                    pace.set_rate(rate);
                }
            }
            while pace.is_spent() {
                pace.wait().await;
            }
            began.elapsed()
        });
        world.join(sent, Duration::from_secs(600)).expect("it ends")
    }

    fn assert_about(took: Duration, due: Duration) {
        assert!(took >= due && took < due + due / 20 + LOOK, "{took:?}, and {due:?} was due");
    }

    #[test]
    fn what_is_sent_takes_its_time() {
        let second = Duration::from_secs(1);
        assert_about(takes(10, 1_000_000, 1_000_000, None), second * 10);
        assert_about(takes(10_000, 1_000, 1_000_000, None), second * 10);
        assert_about(takes(1, 30_000_000, 1_000_000, None), second * 30);
    }

    #[test]
    fn a_rate_that_is_raised_holds_at_once() {
        // Six pieces are paid at the new rate: the one that was just sent, too.
        let took = takes(10, 1_000_000, 1_000_000, Some(10_000_000));
        assert_about(took, Duration::from_secs(5) + Duration::from_millis(500));
    }
}
