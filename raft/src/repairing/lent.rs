//! What another member has of what is damaged here.

use std::ops::Range;

use model::LogIndex;
use storage::{EntryHead, Misfit, Patch, Proof};
use thiserror::Error;

use crate::log::{Body, as_written};
use crate::net::{Peers, Wanted};
use crate::types::MemberId;

/// Bytes of entries that are asked for at first, and later: little is damaged, mostly.
const ASKED: (u32, u32) = (64 * 1024, 1024 * 1024);

/// Why nothing was repaired with what one member has.
#[derive(Debug, Error)]
pub(super) enum Refused {
    /// It does not give what is needed.
    #[error("{0}")]
    Peer(String),
    /// What it gives is not what is damaged here.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

/// Proves that this member has what is damaged.
pub(super) async fn prove(
    peers: &Peers,
    id: MemberId,
    mut proof: Proof,
    committed: LogIndex,
) -> Result<Patch, Refused> {
    let (first, mut max_bytes) = (proof.next(), ASKED.0);
    loop {
        let range = proof.next()..committed;
        if range.is_empty() {
            return Err(Misfit::Uncommitted { committed }.into());
        }
        let got = peers.borrow(id, &Wanted { range, max_bytes }).await;
        let got = got.map_err(|why| Refused::Peer(behind(first, &proof, why)))?;
        for (head, body) in got.iter().map(as_written) {
            if let Some(patch) = proof.take(&head, body.bytes()).await? {
                return Ok(patch);
            }
        }
        max_bytes = ASKED.1;
    }
}

/// Why it gives no more, and what was seen until then.
fn behind(first: LogIndex, proof: &Proof, why: String) -> String {
    if proof.next() == first {
        return why;
    }
    format!(
        "its entries {first} to {} come to nothing that is intact here, and then: {why}",
        proof.next().0 - 1
    )
}

/// The entries of a piece, once more. Whether they are the same is looked at before they are written.
pub(super) async fn all_of(
    peers: &Peers,
    id: MemberId,
    range: Range<LogIndex>,
) -> Result<Vec<(EntryHead, Body)>, Refused> {
    let mut entries = Vec::new();
    let mut next = range.start;
    while next < range.end {
        let wanted = Wanted { range: next..range.end, max_bytes: ASKED.1 };
        let got = peers.borrow(id, &wanted).await.map_err(Refused::Peer)?;
        entries.extend(got.iter().map(as_written));
        next = LogIndex(range.start.0 + entries.len() as u64);
    }
    Ok(entries)
}
