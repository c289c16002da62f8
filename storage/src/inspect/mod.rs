//! Looking into a store while no broker runs: whether it is intact, what is in it, and what can be done
//! about damage.
//!
//! A [`View`] has the store's lock and opens every file for reading only. [`View::check`] reads all of it
//! and judges by the rules of a start; unlike a start it goes on behind damage, as far as entries can be
//! found there. [`View::entries`] hands them out one by one. [`compare`] reads the stores of a group side by side. Only [`View::mend`] writes, and only what a
//! [`Mending`] says.

mod asides;
mod check;
mod compare;
mod derived;
mod entries;
mod finding;
mod judge;
mod mend;

mod outlook;
mod queues;
mod resync;
mod tally;
mod view;
mod walk;

pub use check::{Checked, Progress};
pub use compare::{
    CompareError, Compared, Difference, EntryPlace, LogDamage, MOST_STORES, PairSeen, Side,
    StoreSeen, Verdict, compare,
};
pub use derived::{CheckpointRow, PartRow};
pub use entries::{Content, Entries, EntryRow, Seen};
pub use finding::{Finding, Severity};
pub use mend::{Cut, Keep, MendError, Mending};

pub use outlook::Start;
pub use tally::Tally;
pub use view::{InspectError, Place, View, stores_below};
