//! Starting an executor: its thread, its parts, its rounds, its end.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::local::Local;
use super::signal::{MAIN, Signal};
use crate::channel::{Promise, PromiseReceiver, promise};
use crate::context::{self, Backend};
use crate::executor::{self, Placement, Spec};
use crate::watchdog::{self, Pulse};

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
    let thread = thread::Builder::new().name(spec.name.clone());
    let body = move || match make(&spec) {
        Ok(local) => {
            // The starter waits for this; it cannot have gone.
            drop(ready.send(Ok(())));
            run(&local, watchdog::watch(&spec.name, spec.placement), f, done);
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
    let local = make(&spec)?;
    let pulse = watchdog::watch(name, Placement::Any);
    let _entered = context::enter(Backend::Uring);
    Ok(live(&local, pulse, || main))
}

fn make(spec: &Spec) -> io::Result<Rc<Local>> {
    if let Placement::Core(core) = spec.placement {
        executor::use_core(core)?;
    }
    Local::new(&spec.name, spec.busy_poll.unwrap_or_default())
}

fn run<T, F, Fut>(local: &Rc<Local>, pulse: Arc<Pulse>, f: F, done: Promise<T>)
where
    T: Send + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = T> + 'static,
{
    let _entered = context::enter(Backend::Uring);
    let output = live(local, pulse, f);
    // Nobody may be waiting for the result.
    drop(done.fulfil(output));
}

/// From the first task of an executor to the last; all that was the executor's is gone when this returns.
fn live<Fut: Future>(
    local: &Rc<Local>,
    pulse: Arc<Pulse>,
    main: impl FnOnce() -> Fut,
) -> Fut::Output {
    local.install();
    // The end comes after the main future is gone, and also when that panics where panics unwind.
    let _end = End { local };
    super::spawn(watchdog::tick(pulse));
    rounds(local, main())
}

/// Runs tasks, and `main` among them, until that is done.
fn rounds<F: Future>(local: &Local, main: F) -> F::Output {
    let mut main = pin!(main);
    let signal = Signal::new(MAIN, usize::MAX, local.inbox.clone());
    let waker = Waker::from(signal);
    waker.wake_by_ref();
    loop {
        // Those that are woken meanwhile come in the next round, behind timers and I/O.
        for _ in 0..local.ready_len() {
            let Some(signal) = local.next_ready() else { break };
            signal.runs();
            if signal.task != MAIN {
                local.tasks.run(&signal);
            } else if let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
        }
        local.take_inbox();
        local.timers.fire();
        if local.ready_len() > 0 {
            local.reactor.turn();
        } else {
            local.reactor.wait(local.timers.first());
            local.take_inbox();
            local.timers.fire();
        }
    }
}

/// Ends an executor when it is dropped.
struct End<'a> {
    local: &'a Rc<Local>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.local.tasks.end_all();
        // What nobody waits for any more still runs there, and may not outlive the executor.
        self.local.files.finish();
        // The kernel is done with all memory and all descriptors before anybody learns of the end.
        self.local.reactor.close_down();
        self.local.remove();
    }
}
