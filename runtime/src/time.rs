//! Timers.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::{Instant, now};
use crate::context::{Backend, backend};
use crate::sim::SimSleep;

/// A [`timeout`] ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time limit ran out")]
pub struct Elapsed;

/// The future of [`sleep`]. The time runs from its making.
#[must_use = "a future does nothing until it is awaited"]
pub struct Sleep(Timer);

enum Timer {
    Uring(glommio::timer::Timer),
    Sim(SimSleep),
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Timer::Uring(timer) => Pin::new(timer).poll(cx).map(|_| ()),
            Timer::Sim(timer) => Pin::new(timer).poll(cx),
        }
    }
}

/// Waits for `duration`, at least; from now, not from the first poll.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(match backend() {
        Backend::Uring => Timer::Uring(glommio::timer::Timer::new(duration)),
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

/// The output of `future`, or [`Elapsed`] after `limit`; then the future is dropped. A future that is ready wins over a
/// limit that has passed.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut timer = sleep(limit);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut timer).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}
