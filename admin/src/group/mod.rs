//! Groups and what their members say.

mod find;
mod halt;
mod survey;
mod table;

pub use find::{Finder, Target, at_shard, first_name};
pub use halt::Halt;
pub use survey::{Row, Silent, Survey};
pub use table::{bytes, can_lose, json, lag, text, time};

#[cfg(test)]
pub(crate) use survey::tests as fixtures;
