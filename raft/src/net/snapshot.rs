//! Snapshots on their way: taken apart here, and put together by the one who receives them.

use std::time::Duration;

use openraft::raft::SnapshotResponse;
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};

use super::error::CallError;
use super::facts::Lane;
use super::peer::Peer;
use super::wire::frame::Kind;
use super::wire::snapshot::{Answer, Piece, take_answer};
use crate::types::Types;

/// What a state machine's snapshots are, as bytes in memory.
pub trait SnapshotBytes: Sized + 'static {
    /// Bytes that it has; `None` if the member that has it knows what it stands for, and cannot read it.
    fn size(&self) -> Option<usize>;

    /// All of it.
    fn into_bytes(self) -> Vec<u8>;

    /// Out of all of its bytes.
    ///
    /// # Errors
    /// They are none, or not of what `meta` says; tells why.
    fn from_bytes(bytes: Vec<u8>, meta: &SnapshotMetaOf<Types>) -> Result<Self, String>;
}

/// What keeps a snapshot from being sent where `max` bytes are the limit, and what to do.
pub(super) fn obstacle<D: SnapshotBytes>(snapshot: &D, max: usize) -> Option<String> {
    match snapshot.size() {
        None => Some(
            "its checkpoints cannot be read here. `mqstore check` on this node tells which are damaged; another member may have \
             them: `mqadmin transferLeader`, or wait until a segment of the log is full"
                .to_owned(),
        ),
        Some(len) if len > max => Some(format!(
            "it has {len} bytes, where {max} are the limit. Delete topics and groups that nobody uses, or spread them over more \
             brokers"
        )),
        Some(_) => None,
    }
}

/// A snapshot that only says what it stands for.
impl SnapshotBytes for () {
    fn size(&self) -> Option<usize> {
        Some(0)
    }

    fn into_bytes(self) -> Vec<u8> {
        Vec::new()
    }

    fn from_bytes(bytes: Vec<u8>, _: &SnapshotMetaOf<Types>) -> Result<Self, String> {
        if bytes.is_empty() { Ok(()) } else { Err("this member's snapshots have no bytes".into()) }
    }
}

/// Sends a snapshot, a piece after the other, each answered within `limit`.
pub(super) async fn send(
    peer: &Peer,
    vote: VoteOf<Types>,
    meta: SnapshotMetaOf<Types>,
    bytes: &[u8],
    piece_len: usize,
    limit: Duration,
) -> Result<SnapshotResponse<Types>, CallError> {
    let total = bytes.len() as u64;
    let mut at = 0;
    loop {
        let end = bytes.len().min(at + piece_len);
        let (meta, bytes) = (meta.clone(), &bytes[at..end]);
        let piece = Piece { vote, meta, offset: at as u64, total, bytes };
        peer.turn().await;
        drop(peer.link(Lane::Bulk, limit).await?); // what nobody gets takes nothing from the others
        peer.spend(bytes.len());
        let answer = peer.ask(Lane::Bulk, Kind::Snapshot, limit, |out| piece.put(out)).await?;
        match take_answer(&answer).map_err(CallError::Answer)? {
            Answer::Installed(response) if end as u64 == total => return Ok(response),
            Answer::GoOn if (end as u64) < total => at = end,
            Answer::Installed(_) => {
                return Err(CallError::Contradiction("a part of a snapshot is installed"));
            }
            Answer::GoOn => {
                return Err(CallError::Contradiction("it waits for more than the snapshot"));
            }
        }
    }
}

/// A snapshot of which some pieces came.
pub(super) struct Partial {
    vote: VoteOf<Types>,
    meta: SnapshotMetaOf<Types>,
    total: u64,
    bytes: Vec<u8>,
}

/// A snapshot that is whole.
pub(super) struct Whole {
    pub(super) vote: VoteOf<Types>,
    pub(super) meta: SnapshotMetaOf<Types>,
    pub(super) bytes: Vec<u8>,
}

/// Adds a piece to what came before. The first piece of a snapshot begins it anew, whatever there was.
///
/// # Errors
/// It does not continue what came before, or is too large; the text is for the sender. What came before is forgotten.
pub(super) fn add(
    partial: &mut Option<Partial>,
    piece: &Piece<'_>,
    max: usize,
) -> Result<Option<Whole>, String> {
    if piece.total > max as u64 {
        *partial = None;
        return Err(format!("a snapshot of {} bytes, where {max} are the limit", piece.total));
    }
    let mut snapshot = match partial.take() {
        _ if piece.offset == 0 => Partial {
            vote: piece.vote,
            meta: piece.meta.clone(),
            total: piece.total,
            bytes: Vec::new(),
        },
        Some(before) => before,
        None => return Err("a piece of a snapshot that was not begun".to_owned()),
    };
    let is_same = (snapshot.vote, snapshot.total) == (piece.vote, piece.total)
        && snapshot.meta == piece.meta
        && snapshot.bytes.len() as u64 == piece.offset;
    if !is_same {
        return Err("a piece that does not continue the snapshot before it".to_owned());
    }
    snapshot.bytes.extend_from_slice(piece.bytes);
    assert!(snapshot.bytes.len() as u64 <= snapshot.total, "a piece lies within its snapshot");
    if snapshot.bytes.len() as u64 == snapshot.total {
        let Partial { vote, meta, bytes, .. } = snapshot;
        return Ok(Some(Whole { vote, meta, bytes }));
    }
    *partial = Some(snapshot);
    Ok(None)
}

#[cfg(test)]
mod tests {
    use openraft::impls::leader_id_std::LeaderId;
    use openraft::vote::RaftVote;
    use storage::StoreId;

    use super::*;
    use crate::types::MemberId;

    fn piece(offset: u64, bytes: &[u8]) -> Piece<'_> {
        let leader = LeaderId { term: 3, voted_for: MemberId(StoreId(1)) };
        let vote = VoteOf::<Types>::from_leader_id(leader, true);
        Piece { vote, meta: SnapshotMetaOf::<Types>::default(), offset, total: 5, bytes }
    }

    #[test]
    fn pieces_in_order_are_a_snapshot() {
        let mut partial = None;
        assert!(add(&mut partial, &piece(0, b"ab"), 5).expect("fits").is_none());
        assert!(add(&mut partial, &piece(2, b"cd"), 5).expect("fits").is_none());
        // The sender has begun anew.
        assert!(add(&mut partial, &piece(0, b"123"), 5).expect("fits").is_none());
        let whole = add(&mut partial, &piece(3, b"45"), 5).expect("fits").expect("is whole");
        assert_eq!((whole.bytes.as_slice(), partial.is_none()), (b"12345".as_slice(), true));
    }

    #[test]
    fn pieces_that_do_not_fit_are_refused_and_end_the_snapshot() {
        let mut partial = None;
        assert!(add(&mut partial, &piece(2, b"cd"), 5).is_err(), "not begun");
        assert!(add(&mut partial, &piece(0, b"ab"), 4).is_err(), "too large");
        for wrong in [piece(1, b"x"), piece(3, b"x"), Piece { total: 6, ..piece(2, b"cd") }] {
            assert!(add(&mut partial, &piece(0, b"ab"), 9).expect("fits").is_none());
            assert!(add(&mut partial, &wrong, 9).is_err());
            assert!(add(&mut partial, &piece(2, b"cde"), 9).is_err(), "it was given up");
        }
    }
}
