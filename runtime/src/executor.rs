//! Executors: one thread each on io_uring; a set of tasks each in a simulation.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::channel::PromiseReceiver;
use crate::context;
use crate::probe::{self, ProbeError};
use crate::uring;

pub use crate::watchdog::stalls;

/// Where the thread of an executor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On this CPU only; it must be one of [`allowed_cores`]. So do the kernel's io_uring workers that make its flushes:
    /// since Linux 6.2 they inherit the thread's CPU, even against IORING_REGISTER_IOWQ_AFF (tried on 6.18).
    Core(usize),
    /// On any allowed CPU.
    Any,
}

/// What an executor is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The name of the thread (the kernel shows 15 bytes of it). Not empty, no NUL.
    pub name: String,
    /// Where it runs.
    pub placement: Placement,
    /// How long it looks for work before it sleeps when it has none: a wake-up saved for CPU spent. The simulator
    /// does not know of it.
    pub busy_poll: Option<Duration>,
}

/// Why an executor did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The CPU asked for may not be used by this process.
    #[error(
        "core {core} is not among the cores this process may use, {allowed:?}: start fewer shards, or widen the \
         process's CPU set (taskset, cpuset, the container's --cpuset-cpus)"
    )]
    CoreNotAllowed {
        /// Asked for.
        core: usize,
        /// Allowed ones.
        allowed: Vec<usize>,
    },
    /// Executors cannot run on this machine, or not under these limits.
    #[error(transparent)]
    Unavailable(#[from] ProbeError),
    /// The system refused the thread or its rings.
    #[error("cannot start executor {name}: {source}")]
    Refused {
        /// The executor.
        name: String,
        /// The reason.
        source: io::Error,
    },
}

/// Why an executor has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Its main future panicked, or its (simulated) process died.
    #[error("executor {name} ended without a result")]
    Died {
        /// The executor.
        name: String,
    },
}

/// A started executor. Dropping the handle lets it run on.
#[derive(Debug)]
pub struct Executor<T> {
    name: String,
    result: PromiseReceiver<T>,
    /// `None` in a simulation.
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Executor<T> {
    pub(crate) fn simulated(name: String, result: PromiseReceiver<T>) -> Executor<T> {
        Executor { name, result, thread: None }
    }

    /// Blocks this thread until the executor's main future is done and its tasks are gone. Never on an executor: there,
    /// await [`Executor::finished`]. A simulated executor must have ended: run the simulation first.
    pub fn join(self) -> Result<T, JoinError> {
        let Executor { name, result, thread } = self;
        assert!(
            thread.is_some() || result.is_ready(),
            "executor {name} is still running in its simulation"
        );
        let output = result.wait();
        if let Some(thread) = thread {
            // A panic of the thread shows as a missing result.
            drop(thread.join());
        }
        output.map_err(|_| JoinError::Died { name })
    }

    /// Waits, on another executor, until this one's main future is done and its tasks are gone.
    pub async fn finished(self) -> Result<T, JoinError> {
        let Executor { name, result, .. } = self;
        result.await.map_err(|_| JoinError::Died { name })
    }

    /// True when [`Executor::join`] would not wait for the main future.
    pub fn is_finished(&self) -> bool {
        self.result.is_ready()
    }

    /// The name it was started with.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Starts an executor whose main future is made, on it, by `f`; it ends, with all its tasks, when that future is done.
///
/// On io_uring this blocks the caller for the few milliseconds until the thread and its rings stand. Called within a
/// simulation it starts a simulated executor on the same node; its placement is ignored then.
pub fn start<T, F, Fut>(spec: Spec, f: F) -> Result<Executor<T>, StartError>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    assert!(!spec.name.is_empty() && !spec.name.contains('\0'), "an executor has a name");
    if let Some(seat) = context::sim() {
        return Ok(seat.start(&spec.name, f));
    }
    if let Placement::Core(core) = spec.placement {
        let allowed = allowed_cores();
        if !allowed.contains(&core) {
            return Err(StartError::CoreNotAllowed { core, allowed });
        }
    }
    probe::rings_once()?;
    match uring::start(&spec, f) {
        Ok(started) => {
            Ok(Executor { name: spec.name, result: started.result, thread: Some(started.thread) })
        }
        Err(source) => Err(StartError::Refused { name: spec.name, source }),
    }
}

/// Makes this plain thread an executor, on any allowed CPU, until `future` is done; its tasks end with it. Never on an
/// executor. In [`crate::sim::Node::thread`] it is a simulated one, and the world goes on until then.
pub fn block_on<F: Future>(name: &str, future: F) -> Result<F::Output, StartError> {
    assert!(!name.is_empty() && !name.contains('\0'), "an executor has a name");
    assert!(!context::on_executor(), "an executor never blocks");
    if let Some(seat) = context::sim() {
        return Ok(seat.block_on(future));
    }
    probe::rings_once()?;
    uring::block_on(name, future)
        .map_err(|source| StartError::Refused { name: name.to_owned(), source })
}

/// The CPUs this process may use (sched_getaffinity of its main thread), ascending. Never empty.
pub fn allowed_cores() -> Vec<usize> {
    // The main thread's: executors are pinned, the main thread never is.
    let main = libc::pid_t::try_from(std::process::id()).expect("a process id is a pid_t");
    cores_of(main).expect("the kernel tells a process its own CPU set")
}

/// The CPUs that thread `tid` may use (0: the calling thread), ascending.
pub(crate) fn cores_of(tid: libc::pid_t) -> io::Result<Vec<usize>> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the kernel writes at most `size_of::<cpu_set_t>()` bytes to the set, which is that large.
    let result =
        unsafe { libc::sched_getaffinity(tid, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero is a valid set, and the kernel has filled in the rest.
    let set = unsafe { set.assume_init() };
    let limit = usize::try_from(libc::CPU_SETSIZE).expect("a small positive constant");
    // SAFETY: every index is below CPU_SETSIZE.
    let cores: Vec<usize> =
        (0..limit).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect();
    assert!(!cores.is_empty(), "a thread may use at least one core");
    Ok(cores)
}

/// Keeps the calling thread on `core`, one of [`allowed_cores`].
pub(crate) fn use_core(core: usize) -> io::Result<()> {
    set_cores([core])
}

/// Frees the calling helper thread from the one core that a pinned parent gave it.
pub(crate) fn use_allowed_cores() {
    // A refusal leaves the thread where it is, which is slower but right.
    drop(set_cores(allowed_cores()));
}

fn set_cores(cores: impl IntoIterator<Item = usize>) -> io::Result<()> {
    // SAFETY: all-zero is the empty set.
    let mut set = unsafe { MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init() };
    for core in cores {
        // SAFETY: the core came out of such a set, so it is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    // SAFETY: the kernel reads `size_of::<cpu_set_t>()` bytes of the set, which is that large.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
