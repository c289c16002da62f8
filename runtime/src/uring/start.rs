//! Starting an executor: its thread, its rings, its tick.

use std::ffi::{CStr, CString};
use std::future::Future;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use glommio::{LocalExecutor, LocalExecutorBuilder, PoolPlacement};

use crate::channel::{Promise, PromiseReceiver, promise};
use crate::context::{self, Backend};
use crate::executor::{Placement, Spec};
use crate::watchdog::{self, Pulse};

/// Memory registered with the rings, in bytes; reads take theirs from it and fall back to the heap. Small, because it
/// counts against the locked-memory limit once a ring, three rings an executor.
const RING_MEMORY: usize = 512 << 10;

/// Submission queue entries a ring.
const RING_DEPTH: usize = 256;

/// The thread and the result of an executor.
pub(crate) struct Started<T> {
    pub(crate) thread: thread::JoinHandle<()>,
    pub(crate) result: PromiseReceiver<T>,
}

pub(crate) fn start<T, F, Fut>(spec: &Spec, f: F) -> io::Result<Started<T>>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let (ready, is_ready) = mpsc::sync_channel::<io::Result<()>>(1);
    let (done, result) = promise();
    let spec = spec.clone();
    let (name, placement) = (spec.name.clone(), spec.placement);
    let thread = thread::Builder::new().name(name.clone());
    let body = move || match make(&spec) {
        Ok(executor) => {
            // The starter waits for this; it cannot have gone.
            drop(ready.send(Ok(())));
            run(executor, watchdog::watch(&name, placement), f, done);
        }
        Err(error) => drop(ready.send(Err(error))),
    };
    let thread = thread.spawn(body)?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(Started { thread, result }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("its thread died while starting")),
    }
}

/// The calling thread is the executor until `main` is done.
pub(crate) fn block_on<F: Future>(name: &str, main: F) -> io::Result<F::Output> {
    let spec = Spec { name: name.to_owned(), placement: Placement::Any, busy_poll: None };
    let executor = make(&spec)?;
    let pulse = watchdog::watch(name, Placement::Any);
    let _entered = context::enter(Backend::Uring);
    Ok(live(executor, pulse, || main))
}

fn make(spec: &Spec) -> io::Result<LocalExecutor> {
    let name = &spec.name;
    let placement = match spec.placement {
        Placement::Core(core) => glommio::Placement::Fixed(core),
        Placement::Any => glommio::Placement::Unbound,
    };
    // Glommio does not name the helper thread: it gets the name that this thread has while it starts it.
    let own_name = thread_name();
    name_thread(&helper_name(name));
    let mut builder = LocalExecutorBuilder::new(placement);
    if let Some(time) = spec.busy_poll {
        builder = builder.spin_before_park(time);
    }
    let made = builder
        .name(name)
        .io_memory(RING_MEMORY)
        .ring_depth(RING_DEPTH)
        // One helper thread for file calls, on any core the starting thread may use.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .make()
        .map_err(super::io_error);
    name_thread(&own_name);
    made
}

/// The name of an executor's helper thread for file calls, within the 15 bytes that the kernel shows.
fn helper_name(executor: &str) -> String {
    format!("{executor:.9}-files")
}

/// The name of the calling thread, as the kernel has it: at most 15 bytes.
fn thread_name() -> String {
    let mut name = [0_u8; 16];
    // SAFETY: the kernel writes at most 16 bytes, the last of them NUL, to an array of 16.
    let _ = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let name = CStr::from_bytes_until_nul(&name).expect("the last byte is NUL");
    name.to_string_lossy().into_owned()
}

/// Renames the calling thread; the kernel cuts the name to 15 bytes.
fn name_thread(name: &str) {
    let name = CString::new(name).expect("the name of an executor has no NUL");
    // SAFETY: the kernel reads the NUL-terminated name. A refusal leaves the old name, which only shows in tools.
    let _ = unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

fn run<T, F, Fut>(executor: LocalExecutor, pulse: Arc<Pulse>, f: F, done: Promise<T>)
where
    T: Send + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = T> + 'static,
{
    let _entered = context::enter(Backend::Uring);
    let output = live(executor, pulse, f);
    // Nobody may be waiting for the result.
    drop(done.fulfil(output));
}

/// From the first task of an executor to the last; the executor is gone when this returns.
fn live<Fut: Future>(
    executor: LocalExecutor,
    pulse: Arc<Pulse>,
    main: impl FnOnce() -> Fut,
) -> Fut::Output {
    let output = executor.run(async move {
        let tick = super::spawn(watchdog::tick(pulse));
        let output = main().await;
        tick.cancel();
        super::task::end_all();
        // A call whose future was dropped still runs, and its thread must find the executor when it answers: glommio
        // ends the process otherwise. There is one such thread, so that a last call is answered after all others.
        super::blocking::blocking(|| ()).await;
        // The kernel hears of the files and sockets that went with them.
        super::turn_reactor().await;
        super::turn_reactor().await;
        output
    });
    // All is gone before anybody learns that it has ended.
    drop(executor);
    output
}
