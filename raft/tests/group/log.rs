//! A member's log on a disk, which counts how often a suffix was cut off.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use openraft::LogState;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use raft::{LogError, LogReader, RaftLog, Types};
use runtime::Task;
use storage::{Flush, FlushMethod, Options, Scale};

/// The log, for openraft.
pub struct Log {
    log: RaftLog,
    truncations: Truncations,
}

/// What is known of a log that openraft has.
pub type Truncations = Rc<Cell<u32>>;

impl Log {
    /// The log in `dir`, how often it was cut since, and who writes it.
    pub async fn open(dir: &Path) -> (Log, Truncations, Task<Result<(), LogError>>) {
        let mut options = Options {
            dir: dir.to_owned(),
            log_dir: dir.join("log"),
            segment_size: 0,
            flush: Flush::Sync,
            method: FlushMethod::Fdatasync,
            max_batch: 64 * 1024,
            tail_budget: 64 * 1024,
            cache_size: 4 * 1024 * 1024,
            max_queued: 1024 * 1024,
            max_request: 64 * 1024,
            shard: 0,
            shards: 1,
            scale: Scale::default(),
        };
        options.segment_size = options.smallest_segment();
        let (log, writer) = RaftLog::open(&options).await.unwrap();
        let truncations = Truncations::default();
        (Log { log, truncations: Rc::clone(&truncations) }, truncations, writer)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        self.log.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.log.reader()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        self.log.save_vote(vote).await
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        self.log.save_committed(committed).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogIdOf<Types>>, io::Error> {
        self.log.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types>>,
    {
        self.log.append(entries, flushed).await
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        self.truncations.set(self.truncations.get() + 1);
        self.log.truncate_after(last).await
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), io::Error> {
        self.log.purge(upto).await
    }
}
