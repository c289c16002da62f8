//! The log of one shard: segments on a direct-I/O disk, group commit, recovery, and the index of the
//! queues in it.
//!
//! The log *is* the commitlog: one entry is one batch of messages in the record format of crate
//! `model`, or one metadata command. What is appended is encoded once, into the aligned buffer that is
//! then written, served to readers at the tail, and (later) sent to followers.
//!
//! [`Store`] is the door; [`Events`] is where everything that was appended comes back, in log order,
//! once it is committed. After a start the same events come first for what the log already holds, so
//! that its owner builds its state in one way only.
//!
//! A store belongs to the executor that opened it. It knows topics and queues, because placing a
//! message means counting its queue; it knows nothing of who consumes them.

#![forbid(unsafe_code)]

mod apply;
mod batch;
mod builder;
mod by_time;
mod cache;
mod checkpoint;
mod command;
mod crc;
mod entry;
mod entry_log;
mod error;
mod find;
mod flushing;
#[doc(hidden)]
pub mod fuzz;
mod identity;
mod index;
pub mod inspect;
mod keeper;
mod log;
mod lookup;
mod member;
mod membership;
mod merging;
mod open;
mod options;
mod part;
mod place;
mod placer;
mod position;
mod provision;
mod read;
mod recover;
mod repair;
mod replay;
mod replicate;
mod segment;
mod store;
mod tail;
mod tip;
mod topics;
mod trim;
mod trouble;
mod truncate;
mod versions;
mod vote;
mod warning;
mod writer;

pub use by_time::Boundary;
pub use cache::CacheStats;
pub use checkpoint::CheckpointError;
pub use command::CommandKind;
pub use entry::{ENTRY_ALIGN, ENTRY_HEADER_LEN, Kind as EntryKind, entry_len};
pub use entry_log::{
    EntryHead, EntryLog, EntryLogError, EntryReader, InTerm, LogEntry, LogState, OtherLog, Promise,
};
pub use error::{AppendError, DamageError, OpenError, ReadError, StoreError, TrimError};
pub use find::KeyQuery;
pub use identity::{FILE as IDENTITY_FILE, StoreId, shards_of};
pub use index::{QueueRange, Reach, Unit};
pub use keeper::StateWanted;
pub use member::{
    AppliedState, Applier, NotApplied, Opening, Reserved, StoreSnapshot, snapshot_state,
};
pub use membership::{founder_of, founding_entry};
#[doc(hidden)]
pub use options::Scale;
pub use options::{Flush, FlushMethod, LARGEST_BATCH, LARGEST_REQUEST, MAX_COMMAND, Options};
pub use placer::{Placed, Placer, Unplaced};
pub use provision::Keep;
pub use repair::{Damage, Damaged, Misfit, Patch, Proof, Spots};
pub use store::{Applied, AppliedRecord, Event, Events, Recovery, Stats, Store, What};
pub use trim::SegmentTimes;
pub use trouble::Trouble;
pub use versions::{ENTRY as ENTRY_VERSION, VersionError};
pub use vote::Purged;
pub use warning::Warning;
