//! Whether the process of a leader is gone, as another member sees it.

use openraft::type_config::alias::VoteOf;

use super::cursor::Cursor;
use super::error::WireError;
use super::ids::{put_log_id, put_vote, take_leader, take_log_id};
use crate::net::peers::Testimony;
use crate::types::Types;

const NOT_SEEN: u8 = 0;
const SEEN: u8 = 1;

/// Appends a request to `out`: whom it is about.
pub(in crate::net) fn put(out: &mut Vec<u8>, leader: &VoteOf<Types>) {
    put_vote(out, leader);
}

/// Reads a request.
pub(in crate::net) fn take(body: &[u8]) -> Result<VoteOf<Types>, WireError> {
    let mut from = Cursor::new(body);
    let leader = take_leader(&mut from)?;
    from.end()?;
    Ok(leader)
}

/// Appends an answer to `out`.
pub(in crate::net) fn put_answer(out: &mut Vec<u8>, answer: &Testimony) {
    match answer {
        Testimony::NotSeen => out.extend([NOT_SEEN, 0, 0, 0, 0, 0, 0, 0]),
        Testimony::Seen(last) => {
            out.extend([SEEN, 0, 0, 0, 0, 0, 0, 0]);
            put_log_id(out, last.as_ref());
        }
    }
}

/// Reads an answer.
pub(in crate::net) fn take_answer(body: &[u8]) -> Result<Testimony, WireError> {
    let mut from = Cursor::new(body);
    let code = from.u8()?;
    from.zeros::<7>()?;
    let answer = match code {
        NOT_SEEN => Testimony::NotSeen,
        SEEN => Testimony::Seen(take_log_id(&mut from)?),
        found => return Err(WireError::Case { what: "an answer about a leader", found }),
    };
    from.end()?;
    Ok(answer)
}
