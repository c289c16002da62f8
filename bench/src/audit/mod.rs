//! Reading back what was sent: each acknowledged message must be there once, as it was sent, where its acknowledgement said.

mod ledger;
mod reader;

pub use ledger::{Books, Findings, Ledger, Place};
pub use reader::{Origin, read_back};
