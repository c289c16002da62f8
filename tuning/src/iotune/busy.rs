//! Cores that are kept busy, and threads that stay on one.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use core_affinity::CoreId;

use super::error::IotuneError;

/// A thread on each of some cores that does nothing as fast as it can; they end when this is dropped.
pub struct Busy {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    /// Returns when all threads spin.
    ///
    /// # Errors
    /// `Thread`; those that were started have ended then.
    pub fn start(cores: &[usize]) -> Result<Self, IotuneError> {
        let mut busy = Self { enough: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
        let (spins, spinning) = std::sync::mpsc::channel();
        for core in cores.iter().copied() {
            let (enough, spins) = (Arc::clone(&busy.enough), spins.clone());
            let body = move || {
                pin(core);
                // Nobody waits any more when another thread could not be started.
                if spins.send(()).is_err() {
                    return;
                }
                while !enough.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            };
            let thread = thread::Builder::new().name(format!("busy-{core}")).spawn(body);
            busy.threads.push(thread.map_err(IotuneError::Thread)?);
        }
        for _ in cores {
            spinning.recv().expect("the threads do not end before they are told to");
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a thread that only spins does not panic");
        }
    }
}

/// Keeps the calling thread on `core`. A refusal leaves it where it is: the numbers are noisier then, not wrong.
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}
