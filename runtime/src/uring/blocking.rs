//! Blocking system calls off the executor's thread.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::channel::promise;

/// Runs `call` on the executor's own helper thread, one call at a time. Dropping the future does not stop the call.
/// `call` must not panic.
pub(crate) async fn blocking<R: Send + 'static>(call: impl FnOnce() -> R + Send + 'static) -> R {
    glommio::executor().spawn_blocking(call).await
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
