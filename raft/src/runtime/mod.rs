//! openraft's `AsyncRuntime` over the crate `runtime`: the same on io_uring and in a simulation.
//!
//! Everything openraft asks a runtime for comes from there, its random numbers too, so a group in a simulation is as
//! reproducible as all else in it. Names without `::` in front are openraft's traits, those with it our seam.

use std::future::Future;
use std::io;
use std::time::Duration;

use openraft::AsyncRuntime;

mod clock;
mod mpsc;
mod mutex;
mod oneshot;
mod random;
mod task;
mod watch;

pub use clock::Instant;
use mpsc::Mpsc;
use mutex::Mutex;
use oneshot::Oneshot;
use random::Random;
use task::{JoinError, JoinHandle};
use watch::Watch;

/// What openraft runs on: the executor that it is called on.
///
/// It holds nothing. [`AsyncRuntime::new`] and [`AsyncRuntime::block_on`] are for openraft's conformance suite: a broker
/// starts its executors by itself.
#[derive(Debug)]
pub struct Runtime;

impl AsyncRuntime for Runtime {
    type JoinError = JoinError;
    type JoinHandle<T: 'static> = JoinHandle<T>;
    type Sleep = ::runtime::time::Sleep;
    type Instant = Instant;
    type TimeoutError = ::runtime::Elapsed;
    type Timeout<R, F: Future<Output = R>> = ::runtime::time::Timeout<F>;
    type ThreadLocalRng = Random;
    type Mpsc = Mpsc;
    type Watch = Watch;
    type Oneshot = Oneshot;
    type Mutex<T: 'static> = Mutex<T>;

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        JoinHandle::new(::runtime::spawn(future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        ::runtime::sleep(duration)
    }

    fn sleep_until(deadline: Instant) -> Self::Sleep {
        ::runtime::sleep(deadline.left())
    }

    fn timeout<R, F: Future<Output = R>>(limit: Duration, future: F) -> Self::Timeout<R, F> {
        ::runtime::timeout(limit, future)
    }

    fn timeout_at<R, F: Future<Output = R>>(deadline: Instant, future: F) -> Self::Timeout<R, F> {
        ::runtime::timeout(deadline.left(), future)
    }

    fn is_panic(error: &JoinError) -> bool {
        match *error {}
    }

    fn thread_rng() -> Random {
        Random
    }

    /// The number of threads is ignored: an executor is one.
    fn new(_threads: usize) -> Self {
        Runtime
    }

    /// Makes this plain thread an executor until `future` is done.
    ///
    /// # Panics
    /// On an executor; and where executors cannot run.
    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        match ::runtime::block_on("raft", future) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// Always an error: threads are started by `runtime` only, and openraft calls this nowhere.
    async fn spawn_blocking<F, T>(_f: F) -> Result<T, io::Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a shard has no threads for blocking calls"))
    }
}
