//! openraft's own suite for logs, on both backends. It is here and not among the tests of the crate, because it makes
//! members of numbers, which nobody else should.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use model::{LogIndex, Term};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{RaftSnapshotBuilder, StorageError};
use runtime::sim::Simulation;
use storage::{Flush, FlushMethod, Options, Scale, StoreId};

use super::{LogError, RaftLog};
use crate::types::{Member, MemberId, Types};

impl From<u64> for MemberId {
    fn from(number: u64) -> Self {
        Self(StoreId(number.into()))
    }
}

impl Default for Member {
    fn default() -> Self {
        Self { label: "n0".to_owned(), addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 40911)) }
    }
}

/// Up to where, and who belongs to the group then.
type Applied = (Option<LogIdOf<Types>>, StoredMembershipOf<Types>);

/// A state machine of which only openraft's side is there. Clones are the same.
#[derive(Clone, Default)]
struct Machine {
    applied: Rc<RefCell<Applied>>,
    snapshot: Rc<RefCell<Option<SnapshotMetaOf<Types>>>>,
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        let (last_log_id, last_membership) = self.applied.borrow().clone();
        let meta = SnapshotMetaOf::<Types> { last_log_id, last_membership };
        self.snapshot.replace(Some(meta.clone()));
        Ok(Snapshot { meta, snapshot: () })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> Result<Applied, io::Error> {
        Ok(self.applied.borrow().clone())
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin,
    {
        while let Some(next) = entries.next().await {
            let (entry, _) = next?;
            let mut applied = self.applied.borrow_mut();
            applied.0 = Some(entry.log_id);
            if let Some(membership) = entry.get_membership() {
                applied.1 = StoredMembershipOf::<Types>::new(Some(entry.log_id), membership);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        _snapshot: (),
    ) -> Result<(), io::Error> {
        self.applied.replace((meta.last_log_id, meta.last_membership.clone()));
        self.snapshot.replace(Some(meta.clone()));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(self.snapshot.borrow().clone().map(|meta| Snapshot { meta, snapshot: () }))
    }
}

/// Makes a new log for each test of the suite.
struct Logs {
    dir: PathBuf,
    made: AtomicU32,
    flush: Flush,
}

impl StoreBuilder<Types, RaftLog, Machine> for Logs {
    async fn build(&self) -> Result<((), RaftLog, Machine), StorageError<Types>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let options = options(&self.dir.join(number.to_string()), self.flush);
        let (log, writer) = RaftLog::open(&options).await.expect("a log");
        log.shared.begins_anywhere.set(true);
        writer.detach();
        Ok(((), log, Machine::default()))
    }
}

fn options(dir: &Path, flush: Flush) -> Options {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush,
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
    options
}

async fn suite(dir: PathBuf, flush: Flush) {
    let logs = Logs { dir, made: AtomicU32::new(0), flush };
    Suite::test_all(logs).await.expect("the suite passes");
}

#[test]
fn the_suite_for_logs_passes_in_the_simulation() {
    for flush in [Flush::Sync, Flush::Async { interval: Duration::from_secs(1) }] {
        let simulation = Simulation::new(0x5EED);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let executor = node.start("suite", move || suite(PathBuf::from("/logs"), flush));
        simulation.join(executor, Duration::from_secs(600)).expect("it ends");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test makes and removes its own directory")]
fn the_suite_for_logs_passes_on_uring() {
    let name = format!("raft-suite-{}", std::process::id());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tmp").join(name);
    std::fs::create_dir_all(&dir).expect("a writable target directory");
    let inside = dir.clone();
    let run =
        async { runtime::timeout(Duration::from_secs(120), suite(inside, Flush::Sync)).await };
    runtime::block_on("suite", run).expect("an executor").expect("it does not hang");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

#[test]
fn an_empty_log_takes_no_entry_that_has_others_before_it() {
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let life = node.start("log", || async {
        let options = options(Path::new("/log"), Flush::Sync);
        let (log, _writer) = RaftLog::open(&options).await.expect("a log");
        let entry = |index| {
            let id = LogIdOf::<Types>::new_term_index(3, index);
            openraft::type_config::alias::EntryOf::<Types>::new_blank(id)
        };
        // What is before it may come in a snapshot; the log must not begin with it, in its place.
        let refused = log.shared.accept([entry(7)]);
        assert!(matches!(refused, Err(LogError::Gap { expected: 0, found: 7 })), "{refused:?}");
        assert_eq!(log.shared.last(), None, "nothing is there");
        // Behind what is purged it goes on.
        log.shared.purge(Some(LogIdOf::<Types>::new_term_index(3, 6)));
        log.shared.follow(&storage::LogState {
            first: LogIndex(7),
            next: LogIndex(7),
            last_term: Term(0),
            last_timestamp: model::UnixMillis(0),
            committed: LogIndex(7),
            end: model::PhysicalOffset(0),
            durable: model::PhysicalOffset(0),
        });
        assert_eq!(log.shared.accept([entry(7)]).expect("it follows"), 1);
    });
    simulation.join(life, Duration::from_secs(60)).expect("it ends");
}
