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

impl Refused {
    /// Whether all members have what this one has, and it is not what is needed.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Misfit(Misfit::Endless(_)))
    }
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
        "behind its entries {first} to {} nothing is intact here that would prove them, and then: {why}",
        proof.next().0 - 1
    )
}

/// The entries of a piece, once more. Whether they are the same is looked at before they are written.
pub(super) async fn all_of(
    peers: &Peers,
    id: MemberId,
    patch: &Patch,
    number: usize,
    range: Range<LogIndex>,
) -> Result<Vec<(EntryHead, Body)>, Refused> {
    let mut piece = Piece { entries: Vec::new(), room: patch.bytes_of(number) };
    let mut next = range.start;
    while next < range.end {
        let wanted = Wanted { range: next..range.end, max_bytes: ASKED.1 };
        let got = peers.borrow(id, &wanted).await.map_err(Refused::Peer)?;
        for entry in got.iter().map(as_written) {
            piece.take(entry)?;
        }
        next = LogIndex(range.start.0 + piece.entries.len() as u64);
    }
    Ok(piece.entries)
}

/// Entries that come once more.
struct Piece {
    entries: Vec<(EntryHead, Body)>,
    /// Bytes that are left for more: those that were proven had no more.
    room: u64,
}

impl Piece {
    fn take(&mut self, (head, body): (EntryHead, Body)) -> Result<(), Misfit> {
        let left = self.room.checked_sub(body.bytes().len() as u64);
        self.room = left.ok_or(Misfit::Changed(head.index))?;
        self.entries.push((head, body));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::{Term, UnixMillis};
    use storage::EntryKind;

    use super::*;

    #[test]
    fn no_more_is_kept_of_what_comes_once_more_than_was_proven() {
        let entry = |index, len| {
            let head = EntryHead {
                index: LogIndex(index),
                term: Term(1),
                kind: EntryKind::Command,
                timestamp: UnixMillis(1),
                records: 0,
                chain: None,
            };
            (head, Body::Bytes(vec![0; len]))
        };
        let mut piece = Piece { entries: Vec::new(), room: 1000 };
        piece.take(entry(7, 600)).expect("there is room");
        piece.take(entry(8, 400)).expect("there is room");
        let refused = piece.take(entry(9, 1)).expect_err("there is none");
        assert!(matches!(refused, Misfit::Changed(LogIndex(9))), "{refused}");
        assert_eq!(piece.entries.len(), 2);
    }
}
