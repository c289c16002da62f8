//! A snapshot, in pieces: each says what the snapshot stands for, and where it belongs.

use openraft::raft::SnapshotResponse;
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};

use super::cursor::Cursor;
use super::error::WireError;
use super::ids::{LOG_ID_LEN, VOTE_LEN, put_log_id, put_vote, take_leader, take_log_id, take_vote};
use crate::log::membership;
use crate::types::Types;

/// Bytes before the group: vote, place, size, two log ids, the length of the group.
pub(super) const HEAD_LEN: usize = VOTE_LEN + 2 * 8 + 2 * LOG_ID_LEN + 8;
const _: () = assert!(HEAD_LEN == 88);

const GO_ON: u8 = 0;
const INSTALLED: u8 = 1;

/// A piece of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::net) struct Piece<'a> {
    /// Of the leader that sends it.
    pub(in crate::net) vote: VoteOf<Types>,
    /// What the snapshot stands for.
    pub(in crate::net) meta: SnapshotMetaOf<Types>,
    /// Where the piece begins.
    pub(in crate::net) offset: u64,
    /// Bytes of all pieces.
    pub(in crate::net) total: u64,
    /// Its bytes. Only the one piece of a snapshot without bytes has none.
    pub(in crate::net) bytes: &'a [u8],
}

/// What comes of a piece.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::net) enum Answer {
    /// More of them are expected.
    GoOn,
    /// It was the last one, and the snapshot is installed, or was refused for a higher vote.
    Installed(SnapshotResponse<Types>),
}

impl<'a> Piece<'a> {
    /// Appends it to `out`.
    pub(in crate::net) fn put(&self, out: &mut Vec<u8>) {
        let group = membership::encode(self.meta.last_membership.membership());
        put_vote(out, &self.vote);
        out.extend(self.offset.to_le_bytes());
        out.extend(self.total.to_le_bytes());
        put_log_id(out, self.meta.last_log_id.as_ref());
        put_log_id(out, self.meta.last_membership.log_id().as_ref());
        out.extend(u32::try_from(group.len()).expect("a group is small").to_le_bytes());
        out.extend([0; 4]);
        out.extend(group);
        out.extend_from_slice(self.bytes);
    }

    /// Reads one. It lies within its snapshot, and has bytes if the snapshot has any; what that stands for is not newer than the
    /// leader that sends it.
    pub(in crate::net) fn take(body: &'a [u8]) -> Result<Piece<'a>, WireError> {
        let mut from = Cursor::new(body);
        let vote = take_leader(&mut from)?;
        let (offset, total) = (from.u64()?, from.u64()?);
        let last_log_id = take_log_id(&mut from)?;
        let group_id = take_log_id(&mut from)?;
        check_order(&vote, last_log_id.as_ref(), group_id.as_ref())?;
        let group_len = from.len()?;
        from.zeros::<4>()?;
        let group = membership::decode(from.bytes(group_len)?).map_err(WireError::Membership)?;
        let bytes = from.rest();
        let last_membership = StoredMembershipOf::<Types>::new(group_id, group);
        let meta = SnapshotMetaOf::<Types> { last_log_id, last_membership };
        let len = bytes.len();
        let end = offset.checked_add(len as u64).filter(|end| *end <= total);
        if end.is_none() || (len == 0 && total > 0) {
            return Err(WireError::Piece { offset, len, total });
        }
        Ok(Piece { vote, meta, offset, total, bytes })
    }
}

/// Terms do not fall along a log, from the entry that says who belongs to the group over the last one to the leader's.
fn check_order(
    vote: &VoteOf<Types>,
    last: Option<&LogIdOf<Types>>,
    group: Option<&LogIdOf<Types>>,
) -> Result<(), WireError> {
    let falls = |id: &LogIdOf<Types>, before| WireError::TermFalls {
        index: id.index,
        found: id.leader_id.term,
        before,
    };
    if let Some(last) = last.filter(|last| last.leader_id.term > vote.leader_id.term) {
        return Err(falls(last, vote.leader_id.term));
    }
    match (group, last) {
        (Some(group), Some(last)) if group > last => Err(falls(group, last.leader_id.term)),
        (Some(group), None) => Err(falls(group, 0)),
        _ => Ok(()),
    }
}

/// Appends an answer to `out`.
pub(in crate::net) fn put_answer(out: &mut Vec<u8>, answer: &Answer) {
    let code = match answer {
        Answer::GoOn => GO_ON,
        Answer::Installed(_) => INSTALLED,
    };
    out.push(code);
    out.extend([0; 7]);
    if let Answer::Installed(response) = answer {
        put_vote(out, &response.vote);
    }
}

/// Reads an answer.
pub(in crate::net) fn take_answer(body: &[u8]) -> Result<Answer, WireError> {
    let mut from = Cursor::new(body);
    let code = from.u8()?;
    from.zeros::<7>()?;
    let answer = match code {
        GO_ON => Answer::GoOn,
        INSTALLED => Answer::Installed(SnapshotResponse::new(take_vote(&mut from)?)),
        found => return Err(WireError::Case { what: "an answer to a snapshot", found }),
    };
    from.end()?;
    Ok(answer)
}
