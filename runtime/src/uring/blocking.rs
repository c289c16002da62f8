//! Blocking system calls off the executor's thread.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use super::local::local;
use crate::channel::promise;

type Call = Box<dyn FnOnce() + Send>;

/// An executor's helper thread, on any core that the process may use.
pub(super) struct FilesThread {
    /// `None` once it is finished.
    thread: RefCell<Option<(mpsc::Sender<Call>, JoinHandle<()>)>>,
}

impl FilesThread {
    /// Starts the helper of the executor `executor`, which gets a name within the 15 bytes that the kernel shows.
    pub(super) fn start(executor: &str) -> io::Result<FilesThread> {
        // Not bounded by itself: a task waits for each call, or has given it up.
        let (calls, called) = mpsc::channel::<Call>();
        let thread =
            thread::Builder::new().name(format!("{executor:.9}-files")).spawn(move || {
                crate::executor::use_allowed_cores();
                for call in called {
                    call();
                }
            })?;
        Ok(FilesThread { thread: RefCell::new(Some((calls, thread))) })
    }

    fn run(&self, call: Call) {
        let thread = self.thread.borrow();
        let (calls, _) = thread.as_ref().expect("an executor that has ended calls nothing");
        assert!(calls.send(call).is_ok(), "the helper lives as long as its executor");
    }

    /// Lets it carry out what it was given, and ends it.
    pub(super) fn finish(&self) {
        if let Some((calls, thread)) = self.thread.take() {
            drop(calls);
            drop(thread.join()); // a panic has been told by its thread
        }
    }
}

/// Runs `call` on the executor's own helper thread, one call at a time. Dropping the future does not stop the call.
/// `call` must not panic.
pub(crate) async fn blocking<R: Send + 'static>(call: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = promise();
    // The caller may have gone: then nobody wants the result.
    local().files.run(Box::new(move || drop(done.fulfil(call()))));
    result.await.expect("the call does not panic")
}
/// Calls of [`blocking_detached`] that may run at once in the process.
const DETACHED_CALLS_MAX: usize = 16;

static DETACHED_CALLS: AtomicUsize = AtomicUsize::new(0);

struct Running;

impl Running {
    fn start() -> Option<Running> {
        let before = DETACHED_CALLS.fetch_add(1, Ordering::Relaxed);
        let running = Running; // counts down again if there are too many
        (before < DETACHED_CALLS_MAX).then_some(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let before = DETACHED_CALLS.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0);
    }
}

/// Runs `call`, which may take many seconds (name resolution), on a thread of its own, so that file calls do not queue
/// behind it. Errors when too many are running or no thread can be had.
pub(crate) async fn blocking_detached<R: Send + 'static>(
    call: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let Some(running) = Running::start() else {
        return Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "too many name resolutions are running",
        ));
    };
    let (done, result) = promise();
    thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let _running = running;
        crate::executor::use_allowed_cores();
        // The caller may have gone: then nobody wants the result.
        drop(done.fulfil(call()));
    })?;
    match result.await {
        Ok(result) => result,
        Err(_) => Err(io::Error::other("the resolving thread died")),
    }
}
