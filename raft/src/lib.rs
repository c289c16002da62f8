//! openraft bound to us. So far: its runtime over the crate `runtime`, the types of a group, its log over crate `storage`,
//! and the network between the members of a group.
//!
//! One Raft group is one shard's, and lives with all its tasks on that shard's executor: openraft is built without `Send`
//! (its feature `single-threaded`), and nothing here is shared between threads.
#![forbid(unsafe_code)]

mod admitted;
mod changing;
mod entry;
mod founding;
mod gate;
mod given_up;
mod group;
mod growing;
mod heard;
mod installing;
mod leading;
mod lineage;
mod log;
mod machine;
pub mod net;
mod node;
mod purging;
mod recovering;
mod repairing;
mod runtime;
mod succession;
mod types;
mod view;

pub use crate::changing::{Change, ChangeError, Changed, MOST_BEHIND};
pub use crate::entry::{Entry, Laid};
pub use crate::founding::FoundError;
pub use crate::gate::Gate;
pub use crate::group::{Follower, Group, NotConfirmed};
pub use crate::heard::Heard;
pub use crate::leading::Role;
pub use crate::lineage::Lineage;
pub use crate::log::{LogError, LogReader, RaftLog};
pub use crate::machine::{Machine, Snapshots};
pub use crate::node::{Node, Raft, StartError, Times};
pub use crate::recovering::{Judged, Prospect, Recovery, RecoveryError, RefusedRecovery, Said};
pub use crate::repairing::{Unrepaired, repair_at_start};
pub use crate::runtime::{Instant, Runtime};
pub use crate::types::{Content, Member, MemberId, Proposal, Share, Types};
pub use crate::view::{Ballot, Progress, Seat, View};
