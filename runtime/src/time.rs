//! Timers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::clock::{Instant, now};
use crate::context::{Backend, backend};
use crate::sim::SimSleep;
use crate::uring::UringSleep;

/// A [`timeout`] ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time limit ran out")]
pub struct Elapsed;

/// The future of [`sleep`]. The time runs from its making.
#[must_use = "a future does nothing until it is awaited"]
pub struct Sleep(Timer);

enum Timer {
    Uring(UringSleep),
    Sim(SimSleep),
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Timer::Uring(timer) => Pin::new(timer).poll(cx),
            Timer::Sim(timer) => Pin::new(timer).poll(cx),
        }
    }
}

/// Waits for `duration`, at least; from now, not from the first poll.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(match backend() {
        Backend::Uring => Timer::Uring(UringSleep::new(duration)),
        Backend::Sim(seat) => Timer::Sim(seat.sleep(duration)),
    })
}

/// Waits until `deadline` has passed; at once if it has.
pub async fn sleep_until(deadline: Instant) {
    let left = deadline.saturating_since(now());
    if !left.is_zero() {
        sleep(left).await;
    }
}

pin_project! {
    /// The future of [`timeout`].
    #[must_use = "a future does nothing until it is awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let parts = self.project();
        if let Poll::Ready(output) = parts.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(parts.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}

/// The output of `future`, or [`Elapsed`] after `limit`, which runs from now, not from the first poll. A future that is
/// ready wins over a limit that has passed.
pub fn timeout<F: Future>(limit: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(limit) }
}
