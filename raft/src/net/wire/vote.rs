//! Votes, and questions how a vote would go: both look the same.

use openraft::raft::{VoteRequest, VoteResponse};

use super::cursor::Cursor;
use super::error::WireError;
use super::ids::{LOG_ID_LEN, VOTE_LEN, put_log_id, put_vote, take_log_id, take_vote};
use crate::types::Types;

/// Bytes of a request, and of an answer.
pub(super) const LEN: usize = VOTE_LEN + LOG_ID_LEN + 8;
const _: () = assert!(LEN == 56);

/// Appends a request to `out`.
pub(in crate::net) fn put(out: &mut Vec<u8>, request: &VoteRequest<Types>) {
    put_vote(out, &request.vote);
    put_log_id(out, request.last_log_id.as_ref());
    out.push(request.leadership_transfer.into());
    out.extend([0; 7]);
}

/// Reads a request.
pub(in crate::net) fn take(body: &[u8]) -> Result<VoteRequest<Types>, WireError> {
    let mut from = Cursor::new(body);
    let mut request = VoteRequest::new(take_vote(&mut from)?, take_log_id(&mut from)?);
    request.leadership_transfer = from.flag("whether a leader hands over")?;
    from.zeros::<7>()?;
    from.end()?;
    Ok(request)
}

/// Appends an answer to `out`.
pub(in crate::net) fn put_answer(out: &mut Vec<u8>, answer: &VoteResponse<Types>) {
    put_vote(out, &answer.vote);
    put_log_id(out, answer.last_log_id.as_ref());
    out.push(answer.vote_granted.into());
    out.extend([0; 7]);
}

/// Reads an answer.
pub(in crate::net) fn take_answer(body: &[u8]) -> Result<VoteResponse<Types>, WireError> {
    let mut from = Cursor::new(body);
    let (vote, last_log_id) = (take_vote(&mut from)?, take_log_id(&mut from)?);
    let vote_granted = from.flag("whether a vote is granted")?;
    from.zeros::<7>()?;
    from.end()?;
    Ok(VoteResponse { vote, vote_granted, last_log_id })
}
