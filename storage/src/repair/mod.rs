//! Repairing a damaged part of a member's log with what another member has of it.
//!
//! All members have the same entries at the same offsets, and each entry's checksum is chained to the one before. So entries of
//! another member either continue what is intact before the damage and come to what is intact behind it, or they are not the ones
//! that were here. The first is proven before anything is written ([`Proof`]); what is proven ([`Patch`]) is then got once more, piece
//! by piece, and written where it belongs. Memory is needed for a piece, however much is damaged.
//!
//! Only what the group has committed is repaired, and only where something intact follows: where a log ends is never guessed.
//!
//! A crash in between leaves what was written, which is right, and the rest of the damage, which the next reader finds.

mod damaged;
mod look;
mod patch;
mod proof;
mod spots;

pub use damaged::Damaged;
pub use look::Damage;
pub use patch::Patch;
pub(crate) use patch::Piece;
pub(crate) use proof::fit;
pub use proof::{Misfit, Proof};
pub use spots::Spots;
