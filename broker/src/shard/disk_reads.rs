//! Reads from the disk: at most so many at a time, at most so many waiting.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::limits::{MAX_DISK_READS, MAX_WAITING_DISK_READS};

type Job = Pin<Box<dyn Future<Output = ()>>>;

/// The reads of a shard. A clone is the same.
#[derive(Clone, Default)]
pub struct DiskReads {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    running: Cell<usize>,
    waiting: RefCell<VecDeque<Job>>,
}

/// As many reads wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many may wait.
    pub max: usize,
}

impl DiskReads {
    /// Runs `read` in a task, now or when one of those before it has ended.
    ///
    /// # Errors
    /// [`TooMany`]; `read` was dropped then.
    pub fn run(&self, read: impl Future<Output = ()> + 'static) -> Result<(), TooMany> {
        let inner = &self.inner;
        if inner.running.get() >= MAX_DISK_READS {
            let mut waiting = inner.waiting.borrow_mut();
            if waiting.len() >= MAX_WAITING_DISK_READS {
                return Err(TooMany { max: MAX_WAITING_DISK_READS });
            }
            waiting.push_back(Box::pin(read));
            return Ok(());
        }
        inner.running.set(inner.running.get() + 1);
        runtime::spawn(work(Rc::clone(inner), Box::pin(read))).detach();
        Ok(())
    }
}

/// Runs one read and then those that wait, until none is left.
async fn work(inner: Rc<Inner>, first: Job) {
    let mut next = Some(first);
    while let Some(read) = next {
        read.await;
        next = inner.waiting.borrow_mut().pop_front();
    }
    assert!(inner.running.get() > 0, "a task that ends has been counted");
    inner.running.set(inner.running.get() - 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn reads_are_bounded_and_all_are_run() {
        let world = runtime::sim::Simulation::new(1);
        let node = world.node("n", [10, 0, 0, 1].into());
        let done = node.start("main", || async {
            let reads = DiskReads::default();
            let (running, most, ended) =
                <(Rc<Cell<usize>>, Rc<Cell<usize>>, Rc<Cell<usize>>)>::default();
            for _ in 0..MAX_DISK_READS + 5 {
                let (running, most, ended) = (running.clone(), most.clone(), ended.clone());
                let read = async move {
                    running.set(running.get() + 1);
                    most.set(most.get().max(running.get()));
                    runtime::sleep(Duration::from_millis(1)).await;
                    running.set(running.get() - 1);
                    ended.set(ended.get() + 1);
                };
                assert_eq!(reads.run(read), Ok(()));
            }
            for _ in 0..MAX_WAITING_DISK_READS - 5 {
                assert_eq!(reads.run(async {}), Ok(()));
            }
            assert_eq!(reads.run(async {}), Err(TooMany { max: MAX_WAITING_DISK_READS }));
            runtime::sleep(Duration::from_millis(10)).await;
            assert_eq!((most.get(), ended.get()), (MAX_DISK_READS, MAX_DISK_READS + 5));
            assert_eq!(reads.run(async {}), Ok(()));
        });
        world.run_for(Duration::from_secs(1));
        done.join().expect("the test's node ran to its end");
    }
}
