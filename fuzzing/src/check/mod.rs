//! What must hold of each format, whatever the bytes are.

pub mod batch;
pub mod body;
pub mod command;
pub mod fastjson;
pub mod frame;
pub mod header;
pub mod peer;
pub mod record;
pub mod registration;
pub mod state;
pub mod store;
mod strict;
