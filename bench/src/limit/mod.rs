//! The floor: what a durable write and an echo cost when nothing else is done.
//!
//! Both run on plain threads with blocking system calls, one operation at a time: no executor, no queue, no protocol. A
//! broker that acknowledges one message at a time must do one of each, and can hardly be faster than their sum.

// The floor is what the kernel does without the runtime; no simulation stands in for it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod device;
mod echo;
mod sizes;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::channel::mailbox;

pub use device::Track;
pub use echo::Echo;
pub use sizes::Sizes;

use crate::error::BenchError;
use crate::interrupts::Interrupts;
use crate::recorder::{Latencies, latencies, nanos};

/// How long a window lasts: until one is reached of those given, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Time.
    pub duration: Option<Duration>,
    /// Operations.
    pub count: Option<u64>,
}

/// Operations of a window, and the time they took.
#[derive(Clone, Debug)]
pub struct Measured {
    /// How long each took.
    pub latencies: Latencies,
    /// All of them.
    pub time: Duration,
}

/// Repeats `operation` for a window, or until `stop` is set.
fn repeat(
    extent: Extent,
    stop: &AtomicBool,
    mut operation: impl FnMut() -> io::Result<()>,
) -> io::Result<Measured> {
    assert!(extent.duration.is_some() || extent.count.is_some(), "a window has an end");
    let mut all = latencies();
    let begin = runtime::now();
    let mut before = begin;
    let mut done = 0;
    loop {
        let late = extent.duration.is_some_and(|duration| before - begin >= duration);
        if late || extent.count == Some(done) || stop.load(Ordering::Relaxed) {
            return Ok(Measured { latencies: all, time: before - begin });
        }
        operation()?;
        let now = runtime::now();
        all.saturating_record(nanos(now - before));
        before = now;
        done += 1;
    }
}

/// Runs `work` on a thread of its own, and gives it back with what it measured. An interrupt ends the window early.
///
/// # Errors
/// What `window` says.
pub async fn on_thread<T: Send + 'static>(
    interrupts: &Interrupts,
    mut work: T,
    window: impl FnOnce(&mut T, &AtomicBool) -> Result<Measured, BenchError> + Send + 'static,
) -> Result<(T, Measured), BenchError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, mut ended) = mailbox(1);
    let stopped = stop.clone();
    let body = move || {
        let measured = window(&mut work, &stopped);
        // A receiver that is gone wants no result.
        let (Ok(()) | Err(_)) = sender.try_send(measured.map(|measured| (work, measured)));
    };
    let started = std::thread::Builder::new().name("limit".to_owned()).spawn(body);
    started.map_err(|source| BenchError::Floor { what: "a thread".to_owned(), source })?;
    let watch = interrupts.clone();
    let watching = runtime::spawn(async move {
        watch.more_than(watch.count()).await;
        stop.store(true, Ordering::Relaxed);
    });
    let result = ended.recv().await.expect("the thread sends before it ends");
    drop(watching);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_by_count_time_or_wish() {
        let never = AtomicBool::new(false);
        let by = |duration: Option<u64>, count| Extent {
            duration: duration.map(Duration::from_millis),
            count,
        };
        let ok = || Ok(());
        let measured = repeat(by(None, Some(100)), &never, ok).unwrap();
        assert_eq!(measured.latencies.len(), 100);
        let measured = repeat(by(Some(20), None), &never, ok).unwrap();
        assert!(measured.time >= Duration::from_millis(20) && !measured.latencies.is_empty());
        let measured = repeat(by(None, Some(100)), &AtomicBool::new(true), ok).unwrap();
        assert_eq!(measured.latencies.len(), 0);
        assert!(repeat(by(None, Some(1)), &never, || Err(io::ErrorKind::Other.into())).is_err());
    }
}
