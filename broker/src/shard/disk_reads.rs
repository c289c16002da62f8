//! Reads from the disk: at most so many at a time, at most so many waiting, and answered one after the other.
//!
//! A send goes through the shard's loop several times, for its request, its write, its flush and its answer, and each
//! time it waits for what the loop is doing. Consumers of a backlog wait for the same stretch of the log, so their reads
//! end together: eight answers in one round of the loop would be eight answers in front of each step of a send. So one
//! task carries out all reads, and lets everything else have some rounds after each that has ended. Nor does it go on
//! while the log is being flushed: the kernel needs the shard's core for that. Where one flush follows the other, or takes
//! long, consumers get on too: then several are answered in a row.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use runtime::channel::Notify;

use crate::limits::{MAX_DISK_READS, MAX_WAITING_DISK_READS};

/// Rounds of the shard's loop that a send needs from its arrival to its flush, and from there until its answer is out. A
/// round in which nobody has anything to do takes less than a microsecond.
const ROUNDS_BETWEEN: u32 = 4;

/// Reads that are answered in a row where there was no lull to wait for.
const IN_A_ROW: usize = 8;

type Job = LocalBoxFuture<'static, ()>;

/// The reads of a shard. A clone is the same.
#[derive(Clone)]
pub struct DiskReads {
    inner: Rc<Inner>,
}

struct Inner {
    /// Waits until the shard's core is not needed for something else; says whether that came.
    lull: Box<dyn Fn() -> LocalBoxFuture<'static, bool>>,
    /// The task that carries them out is there.
    works: Cell<bool>,
    /// Those that it has begun.
    running: Cell<usize>,
    waiting: RefCell<VecDeque<Job>>,
    /// Wakes that task.
    more: Notify,
}

/// As many reads wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many may wait.
    pub max: usize,
}

impl DiskReads {
    /// No reads yet. `lull` waits until the shard's core is not needed for something that reads have to wait for; they
    /// go on when it returns, several in a row if it says that there was no lull.
    pub fn new<L: Future<Output = bool> + 'static>(lull: impl Fn() -> L + 'static) -> Self {
        let inner = Inner {
            lull: Box::new(move || Box::pin(lull())),
            works: Cell::default(),
            running: Cell::default(),
            waiting: RefCell::default(),
            more: Notify::new(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Runs `read` and what it ends with, in a task, now or when one of those before it has ended.
    ///
    /// # Errors
    /// [`TooMany`]; `read` was dropped then.
    pub fn run(&self, read: impl Future<Output = ()> + 'static) -> Result<(), TooMany> {
        let inner = &self.inner;
        let reads = inner.running.get() + inner.waiting.borrow().len();
        if reads >= MAX_DISK_READS + MAX_WAITING_DISK_READS {
            return Err(TooMany { max: MAX_WAITING_DISK_READS });
        }
        inner.waiting.borrow_mut().push_back(Box::pin(read));
        if inner.works.replace(true) {
            inner.more.notify_one();
        } else {
            runtime::spawn(work(Working(Rc::clone(inner)))).detach();
        }
        Ok(())
    }
}

/// The task that carries reads out. What waits goes with it if it is dropped early: reads hold the shard, and it holds them.
struct Working(Rc<Inner>);

impl Drop for Working {
    fn drop(&mut self) {
        drop(self.0.waiting.take());
    }
}

/// Carries out reads until none is left.
async fn work(working: Working) {
    let inner = &working.0;
    let mut running = FuturesUnordered::new();
    loop {
        let room = MAX_DISK_READS - running.len();
        let begin = inner.waiting.borrow().len().min(room);
        running.extend(inner.waiting.borrow_mut().drain(..begin));
        inner.running.set(running.len());
        if running.is_empty() {
            break;
        }
        // First a send that was held up comes to its flush, then one that was flushed to its answer.
        rounds().await;
        let in_a_row = if (inner.lull)().await { 1 } else { IN_A_ROW };
        rounds().await;
        match select(running.next(), pin!(inner.more.notified())).await {
            Either::Left((ended, _)) => {
                assert!(ended.is_some(), "there is a read under way");
                // Only those that need nothing more than to be answered.
                let others =
                    (1..in_a_row).take_while(|_| running.next().now_or_never().flatten().is_some());
                let answered = 1 + others.count();
                assert!(answered <= IN_A_ROW);
                inner.running.set(running.len());
            }
            Either::Right(((), _)) => {}
        }
    }
    assert!(inner.works.replace(false), "one task carries out the reads");
}

/// Leaves the shard to the others.
async fn rounds() {
    for _ in 0..ROUNDS_BETWEEN {
        runtime::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn in_simulation<F: Future<Output = ()> + 'static>(test: fn() -> F) {
        let world = runtime::sim::Simulation::new(1);
        let node = world.node("n", [10, 0, 0, 1].into());
        let done = node.start("main", test);
        world.run_for(Duration::from_secs(1));
        done.join().expect("the test's node ran to its end");
    }

    #[test]
    fn reads_are_bounded_and_all_are_run() {
        in_simulation(|| async {
            let reads = DiskReads::new(|| async { true });
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
    }

    #[test]
    fn reads_that_wait_go_with_the_shard_that_they_hold() {
        struct Held(
            #[expect(dead_code, reason = "reads hold the shard")] DiskReads,
            Arc<AtomicUsize>,
        );
        impl Drop for Held {
            fn drop(&mut self) {
                self.1.fetch_add(1, Ordering::Relaxed);
            }
        }
        let gone = Arc::<AtomicUsize>::default();
        let world = runtime::sim::Simulation::new(1);
        let node = world.node("n", [10, 0, 0, 1].into());
        let count = Arc::clone(&gone);
        let life = node.start("main", move || async move {
            let reads = DiskReads::new(|| async { true });
            for _ in 0..MAX_DISK_READS + 3 {
                let held = Held(reads.clone(), Arc::clone(&count));
                let read = async move {
                    runtime::sleep(Duration::from_secs(10)).await;
                    drop(held);
                };
                assert_eq!(reads.run(read), Ok(()));
            }
            runtime::sleep(Duration::from_secs(10)).await;
        });
        world.run_for(Duration::from_secs(1));
        assert_eq!(gone.load(Ordering::Relaxed), 0);
        node.crash();
        drop(life);
        assert_eq!(gone.load(Ordering::Relaxed), MAX_DISK_READS + 3);
    }

    #[test]
    fn others_have_rounds_after_each_read_that_has_ended() {
        in_simulation(|| async {
            let reads = DiskReads::new(|| async { true });
            let ended = Rc::new(Cell::new(0));
            for _ in 0..8 {
                let ended = ended.clone();
                // All of them wait for the same, and end in the same moment.
                let read = async move {
                    runtime::sleep(Duration::from_millis(1)).await;
                    ended.set(ended.get() + 1);
                };
                assert_eq!(reads.run(read), Ok(()));
            }
            // The simulation picks one of the tasks that are ready: this one is picked in between, if there is one.
            runtime::sleep(Duration::from_millis(1)).await;
            let mut seen = vec![0];
            while seen.last() != Some(&8) {
                runtime::yield_now().await;
                if seen.last() != Some(&ended.get()) {
                    seen.push(ended.get());
                }
            }
            assert!(seen.len() > 4, "others ran when {seen:?} had ended");
        });
    }

    #[test]
    fn a_read_that_comes_later_does_not_wait_for_those_under_way() {
        in_simulation(|| async {
            let reads = DiskReads::new(|| async { true });
            let slow = async { runtime::sleep(Duration::from_millis(100)).await };
            assert_eq!(reads.run(slow), Ok(()));
            runtime::sleep(Duration::from_millis(1)).await;
            let done = Rc::new(Cell::new(false));
            let told = done.clone();
            assert_eq!(reads.run(async move { told.set(true) }), Ok(()));
            runtime::sleep(Duration::from_millis(1)).await;
            assert!(done.get());
        });
    }

    #[test]
    fn reads_go_on_in_a_lull() {
        in_simulation(|| async {
            let reads = DiskReads::new(|| runtime::sleep(Duration::from_millis(10)).map(|()| true));
            let began = runtime::now();
            let done = Rc::new(Cell::new(None));
            let told = done.clone();
            assert_eq!(reads.run(async move { told.set(Some(runtime::now())) }), Ok(()));
            runtime::sleep(Duration::from_millis(50)).await;
            assert!(done.get().expect("it has ended") - began >= Duration::from_millis(10));
        });
    }

    #[test]
    fn where_there_is_no_lull_several_are_answered_in_a_row() {
        in_simulation(|| async {
            let reads =
                DiskReads::new(|| runtime::sleep(Duration::from_millis(10)).map(|()| false));
            let ended = Rc::new(Cell::new(0));
            for _ in 0..MAX_DISK_READS {
                let ended = ended.clone();
                let read = async move {
                    runtime::sleep(Duration::from_millis(1)).await;
                    ended.set(ended.get() + 1);
                };
                assert_eq!(reads.run(read), Ok(()));
            }
            let lulls = MAX_DISK_READS.div_ceil(IN_A_ROW) + 2; // one to begin with, and one to spare
            runtime::sleep(Duration::from_millis(10) * u32::try_from(lulls).unwrap()).await;
            assert_eq!(ended.get(), MAX_DISK_READS);
        });
    }
}
