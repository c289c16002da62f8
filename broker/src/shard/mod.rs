//! One shard: all its state, and how it starts and stops.
//!
//! Everything here belongs to one executor. State lies in `RefCell`s that are borrowed for the length
//! of a call and never across an `await`; each sub-state has one module that changes it. Modules named
//! `*_rules` decide and know no state.

pub mod admin;
pub mod apply;
pub mod batch;
pub mod clients;
pub mod commands;
pub mod completions;
pub mod disk_reads;
pub mod dispatch;
pub mod groups;
pub mod held;
pub mod identity;
pub mod locks;
pub mod long_poll;
pub mod notices;
pub mod offset_questions;
pub mod offset_table;
pub mod offsets;
pub mod properties;
pub mod pull;
pub mod pull_rules;
pub mod query;
pub mod recovery;
pub mod refusals;
pub mod register;
pub mod replica;
pub mod reply;
pub mod retention;
pub mod retention_rules;
pub mod send;
pub mod send_back;
pub mod send_rules;
pub mod siblings;
pub mod start;
pub mod state;
pub mod subscription;
pub mod topic_rules;
pub mod topics;
pub mod unique_key;
pub mod view;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use storage::Store;
use transport::Quiet;

use crate::config::{Config, GroupLayout};
use crate::limits::READ_FAILURE_LINES;
use clients::{Changes, Clients};
use completions::{Afterwards, Completions};
use disk_reads::DiskReads;
use groups::Groups;
use identity::Identity;
use locks::Locks;
use long_poll::LongPolls;
use notices::Notices;
use offset_questions::OffsetQuestions;
use offsets::Offsets;
use register::Register;
use replica::Replica;
use retention::Disk;
use send::Stamp;
use siblings::{Mailbox, Siblings};
use topics::Topics;
use unique_key::UniqueKeys;

pub use start::{Start, StartError, Started, run, run_seen};

/// The shape of every handler; see [`dispatch`].
pub type Handler = fn(&Rc<Shard>, &transport::Connection, &remoting::CommandRef<'_>, bytes::Bytes);

/// What a shard accepts at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The log is being replayed; the port is not open yet.
    Recovering,
    /// Everything.
    Serving,
    /// The log failed: reads only.
    Failed,
    /// A graceful stop is under way: no new sends.
    Stopping,
}

/// All state of one shard. Owned by its executor, shared among its tasks as `Rc<Shard>`.
pub struct Shard {
    /// The broker's configuration.
    pub config: Arc<Config>,
    /// Number, name and addresses.
    pub identity: Identity,
    /// The log.
    pub store: Store,
    /// What it is in its Raft group; `None` without one.
    pub replica: Option<Replica>,
    /// What it accepts.
    pub phase: Cell<Phase>,
    /// Who waits for the log.
    pub completions: RefCell<Completions>,
    /// What every stored message gets from the broker.
    pub stamp: Stamp,
    /// Topics, applied and appended.
    pub topics: RefCell<Topics>,
    /// The other shards of the broker.
    pub siblings: Siblings,
    /// Consumer groups.
    pub groups: RefCell<Groups>,
    /// Connected producers and consumers.
    pub clients: RefCell<Clients>,
    /// Groups whose members shall be told of a change.
    pub group_changes: Changes,
    /// Queue locks of orderly consumers.
    pub locks: RefCell<Locks>,
    /// Consumer offsets, applied and pending.
    pub offsets: RefCell<Offsets>,
    /// Questions for consumer offsets that are not answered yet.
    pub offset_questions: OffsetQuestions,
    /// Pulls that wait for a message.
    pub long_polls: RefCell<LongPolls>,
    /// Whether the disk has room for messages.
    pub disk: Disk,
    /// Whether the log had no room for consumer offsets when it was last asked: its reserve for a full disk is used up.
    pub reserve_is_spent: Cell<bool>,
    /// Reads from the disk under way.
    pub disk_reads: DiskReads,
    /// Log lines about reads that failed.
    pub read_failures: Quiet,
    /// Log lines about what clients do.
    pub notices: Notices,
    /// Registration at the NameServers.
    pub register: Register,
    /// Counters for the admin tools.
    pub stats: admin::Stats,
}

impl Shard {
    /// A shard over a store whose log has not been replayed yet.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        identity: Identity,
        store: Store,
        mailbox: impl Into<Rc<Mailbox>>,
    ) -> Self {
        let salt = u32::try_from(runtime::random_below(1 << 32)).expect("below 2^32");
        let keys = UniqueKeys::new(identity.address.ip(), runtime::process::pid(), salt);
        let log = store.clone();
        let disk_reads = DiskReads::new(move || {
            let log = log.clone();
            async move { log.between_writes().await }
        });
        Self {
            stamp: Stamp::new(&config, keys),
            register: Register::new(&config),
            stats: admin::Stats::new(),
            config,
            identity,
            store,
            replica: None,
            phase: Cell::new(Phase::Recovering),
            completions: RefCell::default(),
            topics: RefCell::default(),
            siblings: Siblings::new(mailbox.into()),
            groups: RefCell::default(),
            clients: RefCell::default(),
            group_changes: Changes::default(),
            locks: RefCell::default(),
            offsets: RefCell::default(),
            offset_questions: OffsetQuestions::default(),
            long_polls: RefCell::default(),
            disk: Disk::default(),
            reserve_is_spent: Cell::default(),
            disk_reads,
            read_failures: Quiet::new(READ_FAILURE_LINES),
            notices: Notices::default(),
        }
    }

    /// The same as a member of a Raft group.
    #[must_use]
    pub fn in_group(self, layout: GroupLayout) -> Self {
        Self { replica: Some(Replica::new(layout)), ..self }
    }

    /// Does `then` once everything that was appended so far is committed; now, if nothing is under way.
    pub fn afterwards(&self, then: Afterwards) {
        let now = self.completions.borrow_mut().afterwards(then);
        if let Some(then) = now {
            then.run(self);
        }
    }
}
