//! How many reads the disk has at a time, and when they begin.
//!
//! A device carries out what it is given more or less in order, and a flush waits for what was there before it. So while
//! the log is written to, the device has one read of it at a time, which waits for the end of the write under way. Readers
//! get on all the same: the first in the line waits for one write, and never longer than [`PATIENCE`], whatever
//! comes behind it. Reads of index files are small and few, and go past this.

use std::cell::Cell;
use std::time::Duration;

use runtime::Instant;
use runtime::channel::Notify;

/// Reads that a store has on the device at a time while nothing is written to the log.
pub(crate) const MAX_READS: usize = 4;
/// The same while the log is written to.
const MAX_READS_BESIDE_WRITES: usize = 1;
/// Time after a write in which the next one is to be expected.
const QUIET: Duration = Duration::from_millis(100);
/// The same for reads that a flush had better not find on the device: a producer that sends a few messages a second
/// leaves no pause as long.
const CALM: Duration = Duration::from_secs(1);
/// The longest time that a reader waits for a write: readers get on beside a slow device too.
const PATIENCE: Duration = Duration::from_micros(500);

/// The turns of a store.
pub(super) struct Turns {
    /// Reads on the device.
    running: Cell<usize>,
    /// Who has its permit is the first in the line, and the only one who looks for a turn.
    line: Notify,
    /// Tells that one of a read.
    freed: Notify,
    /// Writes under way: one at most, unless one was given up.
    writes: Cell<usize>,
    /// When the last write ended.
    written: Cell<Option<Instant>>,
    /// Tells of that.
    ended: Notify,
}

/// A read that is on the device; dropped when it has ended.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
}

/// The first in the line; dropped when it has its turn, or has gone.
struct First<'a> {
    line: &'a Notify,
}

/// A write to the log, with its flush; dropped when it has ended.
pub(crate) struct Writing<'a> {
    turns: &'a Turns,
}

impl Turns {
    pub(super) fn new() -> Self {
        let line = Notify::new();
        line.notify_one();
        Self {
            running: Cell::new(0),
            line,
            freed: Notify::new(),
            writes: Cell::new(0),
            written: Cell::new(None),
            ended: Notify::new(),
        }
    }

    /// Whether nothing is written to the log, and nothing was for so long.
    fn is_quiet_for(&self, time: Duration) -> bool {
        self.writes.get() == 0 && self.written.get().is_none_or(|at| at.elapsed() >= time)
    }

    /// Whether no write is to be expected.
    pub(super) fn are_calm(&self) -> bool {
        self.is_quiet_for(CALM)
    }

    /// How many reads the device may have now.
    fn most(&self) -> usize {
        if self.is_quiet_for(QUIET) { MAX_READS } else { MAX_READS_BESIDE_WRITES }
    }

    /// Waits for a turn, in the order in which they came. Cancel safe.
    pub(super) async fn take(&self) -> Turn<'_> {
        self.line.notified().await;
        let first = First { line: &self.line };
        while self.running.get() >= self.most() {
            self.freed.notified().await;
        }
        self.between_writes().await;
        drop(first);
        self.running.set(self.running.get() + 1);
        assert!(self.running.get() <= MAX_READS, "nobody else has taken a turn meanwhile");
        Turn { turns: self }
    }

    /// Waits until the write under way has ended, [`PATIENCE`] at most. False when there is one all the same: it takes
    /// longer, or the next one has begun. Cancel safe.
    pub(super) async fn between_writes(&self) -> bool {
        if self.writes.get() > 0 {
            let (Ok(()) | Err(_)) = runtime::timeout(PATIENCE, self.ended.notified()).await;
        }
        self.writes.get() == 0
    }

    /// A write begins.
    pub(super) fn write(&self) -> Writing<'_> {
        self.writes.set(self.writes.get() + 1);
        Writing { turns: self }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let running = self.turns.running.get();
        assert!(running > 0, "a read that ends has begun");
        self.turns.running.set(running - 1);
        self.turns.freed.notify_one();
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.line.notify_one();
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let writes = self.turns.writes.get();
        assert!(writes > 0, "a write that ends has begun");
        self.turns.writes.set(writes - 1);
        self.turns.written.set(Some(runtime::now()));
        self.turns.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Longer than anybody waits who does not wait for a read.
    const LONG: Duration = Duration::from_millis(10);

    fn simulate<F: Future<Output = ()> + 'static>(test: fn() -> F) {
        let world = runtime::sim::Simulation::new(1);
        let node = world.node("n", [10, 0, 0, 1].into());
        let done = node.start("main", test);
        world.run_for(Duration::from_secs(10));
        done.join().expect("the test ran to its end");
    }

    /// Takes turns until none is left for some time.
    async fn all(turns: &Turns) -> Vec<Turn<'_>> {
        let mut taken = Vec::new();
        while let Ok(turn) = runtime::timeout(LONG, turns.take()).await {
            taken.push(turn);
        }
        taken
    }

    #[test]
    fn beside_writes_there_is_one_read_at_a_time() {
        simulate(|| async {
            let turns = Turns::new();
            assert_eq!(all(&turns).await.len(), MAX_READS);
            let writing = turns.write();
            assert_eq!(all(&turns).await.len(), 1, "a write is under way");
            drop(writing);
            assert_eq!(all(&turns).await.len(), 1, "another one may come");
            runtime::sleep(QUIET).await;
            assert_eq!(all(&turns).await.len(), MAX_READS);
        });
    }

    #[test]
    fn a_read_begins_behind_a_flush_but_does_not_wait_for_ever() {
        simulate(|| async {
            let turns = Rc::new(Turns::new());
            let began = runtime::now();
            drop(turns.take().await);
            assert_eq!(began.elapsed(), Duration::ZERO, "there is no write");
            let writing = turns.write();
            drop(turns.take().await);
            assert!(began.elapsed() >= PATIENCE);
            let waiting = {
                let turns = turns.clone();
                runtime::spawn(async move {
                    drop(turns.take().await);
                    runtime::now()
                })
            };
            runtime::sleep(PATIENCE / 4).await;
            drop(writing);
            let ended = runtime::now();
            // The next write begins at once, and the read has its turn all the same.
            let next = turns.write();
            assert!(waiting.await - ended < PATIENCE / 4, "it begins with the end of the flush");
            drop(next);
        });
    }

    #[test]
    fn readers_have_their_turns_in_order_and_those_that_go_hold_up_nobody() {
        simulate(|| async {
            let turns = Rc::new(Turns::new());
            let order = Rc::new(RefCell::new(Vec::new()));
            let writing = turns.write();
            let mut waiting = Vec::new();
            for number in 0..10 {
                let (turns, order) = (turns.clone(), order.clone());
                waiting.push(runtime::spawn(async move {
                    let turn = turns.take().await;
                    order.borrow_mut().push(number);
                    runtime::sleep(Duration::from_micros(100)).await;
                    drop(turn);
                }));
                // The simulation picks one of the tasks that are ready.
                runtime::sleep(Duration::from_micros(1)).await;
            }
            drop(waiting.remove(4));
            drop(waiting.remove(0)); // it was the first
            drop(writing);
            for reader in waiting {
                reader.await;
            }
            assert_eq!(*order.borrow(), [1, 2, 3, 5, 6, 7, 8, 9]);
        });
    }
}
