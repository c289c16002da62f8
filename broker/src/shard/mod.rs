//! One shard: all its state, and how it starts and stops.
//!
//! Everything here belongs to one executor. State lies in `RefCell`s that are borrowed for the length
//! of a call and never across an `await`; each sub-state has one module that changes it.

pub mod admin;
pub mod apply;
pub mod batch;
pub mod clients;
pub mod commands;
pub mod dispatch;
pub mod groups;
pub mod identity;
pub mod locks;
pub mod long_poll;
pub mod offsets;
pub mod pull;
pub mod register;
pub mod reply;
pub mod send;
pub mod siblings;
pub mod subscription;
pub mod topics;
pub mod view;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use storage::Store;

use crate::config::Config;
use clients::Clients;
use groups::Groups;
use identity::Identity;
use locks::Locks;
use long_poll::LongPolls;
use offsets::Offsets;
use register::Register;
use topics::Topics;

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
    /// What it accepts.
    pub phase: Cell<Phase>,
    /// Topics, applied and appended.
    pub topics: RefCell<Topics>,
    /// Consumer groups.
    pub groups: RefCell<Groups>,
    /// Connected producers and consumers.
    pub clients: RefCell<Clients>,
    /// Queue locks of orderly consumers.
    pub locks: RefCell<Locks>,
    /// Consumer offsets, applied and pending.
    pub offsets: RefCell<Offsets>,
    /// Pulls that wait for a message.
    pub long_polls: RefCell<LongPolls>,
    /// Registration at the NameServers.
    pub register: Register,
    /// Counters for the admin tools.
    pub stats: admin::Stats,
}

/// The shape of every handler; see [`dispatch`].
pub type Handler = fn(&Rc<Shard>, &transport::Connection, &remoting::CommandRef<'_>, bytes::Bytes);
