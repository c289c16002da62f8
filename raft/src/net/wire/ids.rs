//! Votes and log ids.

use openraft::impls::leader_id_std::LeaderId;
use openraft::type_config::alias::{LogIdOf, VoteOf};
use openraft::vote::RaftVote;
use storage::StoreId;

use super::cursor::Cursor;
use super::error::WireError;
use crate::types::{MemberId, Types};

/// A vote. Only its layout is used.
#[repr(C)]
struct VoteRow {
    voted_for: u128,
    term: u64,
    elected: u8,
    reserved: [u8; 7],
}

/// A log id, or none. Only its layout is used.
#[repr(C)]
struct LogIdRow {
    /// The index, and one; 0 for none.
    end: u64,
    term: u64,
}

pub(super) const VOTE_LEN: usize = size_of::<VoteRow>();
pub(super) const LOG_ID_LEN: usize = size_of::<LogIdRow>();
const _: () = assert!(VOTE_LEN == 32 && std::mem::offset_of!(VoteRow, elected) == 24);
const _: () = assert!(LOG_ID_LEN == 16 && std::mem::offset_of!(LogIdRow, term) == 8);

/// The newest term that is believed.
pub(super) const TERM_MAX: u64 = 1 << 62;

pub(super) fn put_vote(out: &mut Vec<u8>, vote: &VoteOf<Types>) {
    out.extend(vote.leader_id.voted_for.0.0.to_le_bytes());
    out.extend(vote.leader_id.term.to_le_bytes());
    out.push(vote.committed.into());
    out.extend([0; 7]);
}

pub(super) fn take_vote(from: &mut Cursor<'_>) -> Result<VoteOf<Types>, WireError> {
    let voted_for = MemberId(StoreId(from.u128()?));
    let term = term_of(from.u64()?)?;
    let elected = from.flag("a vote's state")?;
    from.zeros::<7>()?;
    Ok(VoteOf::<Types>::from_leader_id(LeaderId { term, voted_for }, elected))
}

/// A term that comes from a peer is stored before anything is done with it, and there must be one behind it, at every start.
fn term_of(term: u64) -> Result<u64, WireError> {
    if term <= TERM_MAX { Ok(term) } else { Err(WireError::Term(term)) }
}

/// The vote of one who leads.
pub(super) fn take_leader(from: &mut Cursor<'_>) -> Result<VoteOf<Types>, WireError> {
    let vote = take_vote(from)?;
    if vote.committed { Ok(vote) } else { Err(WireError::NoLeader) }
}

pub(super) fn put_log_id(out: &mut Vec<u8>, id: Option<&LogIdOf<Types>>) {
    let (end, term) = id.map_or((0, 0), |id| (id.index + 1, id.leader_id.term));
    out.extend(end.to_le_bytes());
    out.extend(term.to_le_bytes());
}

pub(super) fn take_log_id(from: &mut Cursor<'_>) -> Result<Option<LogIdOf<Types>>, WireError> {
    match (from.u64()?, from.u64()?) {
        (0, 0) => Ok(None),
        (0, _) => Err(WireError::LogId),
        (end, term) => Ok(Some(LogIdOf::<Types>::new_term_index(term_of(term)?, end - 1))),
    }
}
