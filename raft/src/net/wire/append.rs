//! Entries for a follower's log, or a heartbeat without any; and what the follower says.

use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult};
use openraft::type_config::alias::{EntryOf, LogIdOf};
use runtime::Slice;

use super::cursor::Cursor;
use super::entry;
use super::error::WireError;
use super::ids::{LOG_ID_LEN, VOTE_LEN, put_log_id, put_vote, take_leader, take_log_id, take_vote};
use crate::types::Types;

/// Bytes before the first entry: the vote, the entry before, what is committed, how many follow.
pub(in crate::net) const HEAD_LEN: usize = VOTE_LEN + 2 * LOG_ID_LEN + 8;
const _: () = assert!(HEAD_LEN == 72);

const MATCHED: u8 = 1;
const CONFLICT: u8 = 2;
const HIGHER_VOTE: u8 = 3;

/// Appends such a request to `out`.
pub(in crate::net) fn put(out: &mut Vec<u8>, request: &AppendEntriesRequest<Types>) {
    put_vote(out, &request.vote);
    put_log_id(out, request.prev_log_id.as_ref());
    put_log_id(out, request.leader_commit.as_ref());
    let count = u32::try_from(request.entries.len()).expect("a request has few entries");
    out.extend(count.to_le_bytes());
    out.extend([0; 4]);
    request.entries.iter().for_each(|entry| entry::put(out, entry));
}

/// Bytes of a request, about.
pub(in crate::net) fn weight(request: &AppendEntriesRequest<Types>) -> usize {
    let weigh = |entry: &EntryOf<Types>| {
        entry::HEAD_LEN
            + match &entry.payload {
                openraft::EntryPayload::Normal(proposal) => {
                    proposal.content().map_or(0, |content| content.body.len())
                }
                openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 0,
            }
    };
    HEAD_LEN + request.entries.iter().map(weigh).sum::<usize>()
}

/// Reads such a request. The bodies of its proposals are views of `body`: nothing is copied.
///
/// Its entries follow each other and the one before, their terms do not fall and do not exceed the leader's.
pub(in crate::net) fn take(body: &Slice) -> Result<AppendEntriesRequest<Types>, WireError> {
    let mut from = Cursor::new(body);
    let vote = take_leader(&mut from)?;
    let prev_log_id = take_log_id(&mut from)?;
    let leader_commit = take_log_id(&mut from)?;
    let count = from.len()?;
    from.zeros::<4>()?;
    // No more than the bytes have room for, whatever the number says.
    let mut entries = Vec::with_capacity(count.min(body.len() / entry::HEAD_LEN));
    let mut before = prev_log_id;
    for _ in 0..count {
        let entry = entry::take(&mut from, body)?;
        follows(&entry.log_id, before.as_ref())?;
        before = Some(entry.log_id);
        entries.push(entry);
    }
    from.end()?;
    if let Some(last) = before.filter(|last| last.leader_id.term > vote.leader_id.term) {
        let (index, found, before) = (last.index, last.leader_id.term, vote.leader_id.term);
        return Err(WireError::TermFalls { index, found, before });
    }
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

fn follows(id: &LogIdOf<Types>, before: Option<&LogIdOf<Types>>) -> Result<(), WireError> {
    let next = |id: &LogIdOf<Types>| (id.index.saturating_add(1), id.leader_id.term);
    let (expected, term) = before.map_or((0, 0), next);
    // The last number has none behind it.
    if id.index != expected || id.index == u64::MAX {
        return Err(WireError::Gap { expected, found: id.index });
    }
    if id.leader_id.term < term {
        let (index, found) = (id.index, id.leader_id.term);
        return Err(WireError::TermFalls { index, found, before: term });
    }
    Ok(())
}

/// Appends to `out` what came of a request.
pub(in crate::net) fn put_result(out: &mut Vec<u8>, result: &StreamAppendResult<Types>) {
    let code = match result {
        Ok(_) => MATCHED,
        Err(StreamAppendError::Conflict(_)) => CONFLICT,
        Err(StreamAppendError::HigherVote(_)) => HIGHER_VOTE,
    };
    out.push(code);
    out.extend([0; 7]);
    match result {
        Ok(matched) => put_log_id(out, matched.as_ref()),
        Err(StreamAppendError::Conflict(at)) => put_log_id(out, Some(at)),
        Err(StreamAppendError::HigherVote(vote)) => put_vote(out, vote),
    }
}

/// Reads what came of a request.
pub(in crate::net) fn take_result(body: &[u8]) -> Result<StreamAppendResult<Types>, WireError> {
    let mut from = Cursor::new(body);
    let code = from.u8()?;
    from.zeros::<7>()?;
    let result = match code {
        MATCHED => Ok(take_log_id(&mut from)?),
        CONFLICT => {
            Err(StreamAppendError::Conflict(take_log_id(&mut from)?.ok_or(WireError::LogId)?))
        }
        HIGHER_VOTE => Err(StreamAppendError::HigherVote(take_vote(&mut from)?)),
        found => return Err(WireError::Case { what: "an answer to entries", found }),
    };
    from.end()?;
    Ok(result)
}
