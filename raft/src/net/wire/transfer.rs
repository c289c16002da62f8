//! A leader hands over to another member.

use openraft::raft::{TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse};
use storage::StoreId;

use super::cursor::Cursor;
use super::error::WireError;
use super::ids::{LOG_ID_LEN, VOTE_LEN, put_log_id, put_vote, take_leader, take_log_id, take_vote};
use crate::types::{MemberId, Types};

/// Bytes of a request.
pub(super) const LEN: usize = VOTE_LEN + size_of::<u128>() + LOG_ID_LEN;
const _: () = assert!(LEN == 64);

const TAKEN: u8 = 0;
const VOTE_CHANGED: u8 = 1;
const NOT_FLUSHED: u8 = 2;

/// Appends a request to `out`.
pub(in crate::net) fn put(out: &mut Vec<u8>, request: &TransferLeaderRequest<Types>) {
    put_vote(out, request.from_leader());
    out.extend(request.to_node_id().0.0.to_le_bytes());
    put_log_id(out, request.last_log_id());
}

/// Reads a request.
pub(in crate::net) fn take(body: &[u8]) -> Result<TransferLeaderRequest<Types>, WireError> {
    let mut from = Cursor::new(body);
    let vote = take_leader(&mut from)?;
    let to = MemberId(StoreId(from.u128()?));
    let last_log_id = take_log_id(&mut from)?;
    from.end()?;
    Ok(TransferLeaderRequest::new(vote, to, last_log_id))
}

/// Appends an answer to `out`.
pub(in crate::net) fn put_answer(out: &mut Vec<u8>, answer: &TransferLeaderResponse<Types>) {
    let code = match answer {
        Ok(()) => TAKEN,
        Err(TransferLeaderError::VoteChanged { .. }) => VOTE_CHANGED,
        Err(TransferLeaderError::LogNotFlushed { .. }) => NOT_FLUSHED,
    };
    out.push(code);
    out.extend([0; 7]);
    match answer {
        Ok(()) => {}
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            put_vote(out, expected);
            put_vote(out, actual);
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            put_log_id(out, expected.as_ref());
            put_log_id(out, actual.as_ref());
        }
    }
}

/// Reads an answer.
pub(in crate::net) fn take_answer(body: &[u8]) -> Result<TransferLeaderResponse<Types>, WireError> {
    let mut from = Cursor::new(body);
    let code = from.u8()?;
    from.zeros::<7>()?;
    let answer = match code {
        TAKEN => Ok(()),
        VOTE_CHANGED => {
            let (expected, actual) = (take_vote(&mut from)?, take_vote(&mut from)?);
            Err(TransferLeaderError::VoteChanged { expected, actual })
        }
        NOT_FLUSHED => {
            let (expected, actual) = (take_log_id(&mut from)?, take_log_id(&mut from)?);
            Err(TransferLeaderError::LogNotFlushed { expected, actual })
        }
        found => return Err(WireError::Case { what: "an answer to a transfer", found }),
    };
    from.end()?;
    Ok(answer)
}
