//! Executors: one thread each, in `uring`; a set of tasks each, in a simulation.

use std::future::Future;
use std::marker::PhantomData;

/// Where the thread of an executor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On this CPU only; it must be one of [`allowed_cores`].
    Core(usize),
    /// On any allowed CPU.
    Any,
}

/// What an executor is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The name of the thread (the kernel shows 15 bytes of it).
    pub name: String,
    /// Where it runs.
    pub placement: Placement,
}

/// Why an executor did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The CPU asked for may not be used by this process.
    #[error(
        "core {core} is not among the cores this process may use {allowed:?}; see taskset, cpuset or the container's CPU set"
    )]
    CoreNotAllowed {
        /// Asked for.
        core: usize,
        /// Allowed ones.
        allowed: Vec<usize>,
    },
    /// The system refused the thread or its rings.
    #[error("cannot start executor {name}: {source}")]
    Refused {
        /// The executor.
        name: String,
        /// The reason.
        source: std::io::Error,
    },
}

/// Why an executor has no result.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Its main future panicked, or its (simulated) process died.
    #[error("executor {name} ended without a result")]
    Died {
        /// The executor.
        name: String,
    },
}

/// A started executor. Dropping the handle lets it run on.
pub struct Executor<T> {
    output: PhantomData<T>,
}

impl<T: Send + 'static> Executor<T> {
    /// Blocks this thread until the executor's main future is done. Never call it on an executor: use [`Executor::finished`].
    pub fn join(self) -> Result<T, JoinError> {
        todo!()
    }

    /// Waits for the executor's main future to be done, from within an executor.
    pub async fn finished(self) -> Result<T, JoinError> {
        todo!()
    }
}

/// Starts an executor whose main future is made, on it, by `f`; it ends, with its tasks, when that future is done.
/// Called within a simulation it starts a simulated executor on the same node.
pub fn start<T, F, Fut>(spec: Spec, f: F) -> Result<Executor<T>, StartError>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    todo!("{spec:?} {}", size_of_val(&f))
}

/// The CPUs this process may use (sched_getaffinity), ascending.
pub fn allowed_cores() -> Vec<usize> {
    todo!()
}
