//! A log in memory, with a "disk" that takes its time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::rc::Rc;
use std::time::Duration;

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::{LogState, RaftLogReader};
use raft::Types;
use runtime::channel::{Sender, mpsc};

/// Flushes that wait for the "disk".
const FLUSHES_MAX: usize = 1024;

#[derive(Default)]
struct State {
    vote: Option<VoteOf<Types>>,
    entries: BTreeMap<u64, EntryOf<Types>>,
    truncations: u32,
}

/// Clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    state: Rc<RefCell<State>>,
    flushes: Sender<IOFlushed<Types>>,
}

async fn flush_time() {
    runtime::sleep(Duration::from_micros(50 + runtime::random_below(200))).await;
}

impl MemoryLog {
    /// An empty log; its "disk" works until the log is dropped.
    pub fn new() -> MemoryLog {
        let (flushes, mut waiting) = mpsc::<IOFlushed<Types>>(FLUSHES_MAX);
        runtime::spawn(async move {
            while let Some(flushed) = waiting.recv().await {
                flush_time().await;
                flushed.io_completed(Ok(()));
            }
        })
        .detach();
        MemoryLog { state: Rc::default(), flushes }
    }

    /// How often a suffix was cut off.
    pub fn truncations(&self) -> u32 {
        self.state.borrow().truncations
    }
}

impl RaftLogReader<Types> for MemoryLog {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: R,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        Ok(self.state.borrow().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(self.state.borrow().vote)
    }
}

impl RaftLogStorage<Types> for MemoryLog {
    type LogReader = MemoryLog;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let last = self.state.borrow().entries.last_key_value().map(|(_, entry)| entry.log_id());
        Ok(LogState { last_purged_log_id: None, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> MemoryLog {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        flush_time().await;
        self.state.borrow_mut().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types>>,
    {
        for entry in entries {
            let mut state = self.state.borrow_mut();
            let next = state.entries.last_key_value().map_or(0, |(index, _)| index + 1);
            assert_eq!(entry.log_id().index, next, "a log has no holes");
            state.entries.insert(next, entry);
        }
        self.flushes.send(flushed).await.expect("the disk works as long as the log is there");
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        flush_time().await;
        let mut state = self.state.borrow_mut();
        let cut = state.entries.split_off(&last.map_or(0, |last| last.index + 1));
        state.truncations += u32::from(!cut.is_empty());
        Ok(())
    }

    async fn purge(&mut self, _upto: LogIdOf<Types>) -> Result<(), io::Error> {
        panic!("without snapshots nothing is purged");
    }
}
