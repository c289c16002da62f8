//! Reads headers and bodies of commands by their code, writes them again, and reports every
//! difference. Used on recorded frames, where a difference is a failure, and on damaged ones, where
//! only a panic is.

mod body;
mod header;

use remoting::{Command, RequestCode, ResponseCode};

/// Extension fields that any request may carry, and that no header lists.
const COMMON_FIELDS: &[&str] = &[
    "AccessKey",
    "ReqT",
    "SecurityToken",
    "Signature",
    "__ZONE_MODE",
    "__ZONE_NAME",
    "bname",
    "lo",
    "ns",
    "nsd",
    "oway",
];

/// Whether a command has a type here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Header and body were read by their types, or there is nothing to read.
    Yes,
    /// The request is not served yet; only its fields and bytes are known.
    No,
}

/// What was wrong, for people.
pub type Finding = String;

/// Checks a request.
pub fn request(code: RequestCode, command: &Command) -> Result<Typed, Finding> {
    let header = header::request(code, &command.ext)?;
    let body = body::request(code, command)?;
    Ok(both(header, body))
}

/// Checks the answer to a `code` request. Answers that only carry a remark are always typed.
pub fn reply(code: RequestCode, command: &Command) -> Result<Typed, Finding> {
    let success =
        ResponseCode::from_code(command.code).is_some_and(|reply| carries_results(code, reply));
    if !success {
        return Ok(Typed::Yes);
    }
    let header = header::reply(code, &command.ext)?;
    let body = body::reply(code, command)?;
    Ok(both(header, body))
}

/// Does an answer with this code have the header and body of a success?
fn carries_results(request: RequestCode, reply: ResponseCode) -> bool {
    use RequestCode as Q;
    use ResponseCode as R;
    let stored = matches!(request, Q::SendMessage | Q::SendMessageV2 | Q::SendBatchMessage)
        && matches!(reply, R::FlushDiskTimeout | R::FlushSlaveTimeout | R::SlaveNotAvailable);
    let pulled = matches!(request, Q::PullMessage | Q::LitePullMessage)
        && matches!(reply, R::PullNotFound | R::PullRetryImmediately | R::PullOffsetMoved);
    reply == R::Success || stored || pulled
}

fn both(header: Typed, body: Typed) -> Typed {
    if header == Typed::Yes && body == Typed::Yes { Typed::Yes } else { Typed::No }
}
