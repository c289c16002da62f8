//! Timers.

use std::future::Future;
use std::time::Duration;

use crate::clock::Instant;

/// A [`timeout`] ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time limit ran out")]
pub struct Elapsed;

/// Waits for `duration`, at least.
pub async fn sleep(duration: Duration) {
    todo!("{duration:?}")
}

/// Waits until `deadline` has passed; at once if it has.
pub async fn sleep_until(deadline: Instant) {
    todo!("{deadline:?}")
}

/// The output of `future`, or [`Elapsed`] after `limit`; then the future is dropped.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    todo!("{limit:?} {}", size_of_val(&future))
}
