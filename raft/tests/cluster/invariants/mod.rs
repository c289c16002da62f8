//! What must hold whatever happens, one file for each. Most of it is checked the moment something is seen, in
//! whatever member that is; the rest when all is well again.

pub mod acknowledged;
pub mod entries;
pub mod flushed;
pub mod groups;
pub mod leaders;
pub mod majorities;
pub mod reads;
pub mod replicas;
pub mod votes;
