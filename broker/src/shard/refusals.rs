//! Refusals that several handlers give, in RocketMQ's codes and, where clients and people know them, in
//! its words.

use remoting::header::HeaderError;
use remoting::{CommandRef, RequestCode, ResponseCode};
use storage::{AppendError, ReadError};

use super::replica::Replica;
use super::reply::Refusal;
use super::{Phase, Shard};
use crate::limits::MAX_HELD_PULLS;

/// The code of a request that was dispatched by it.
pub fn code_of(request: &CommandRef<'_>) -> RequestCode {
    RequestCode::from_code(request.code).expect("a request was dispatched by its code")
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::new(ResponseCode::SystemError, error.to_string())
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let code = match error {
            AppendError::NoTopic => ResponseCode::TopicNotExist,
            AppendError::NoQueue { .. } | AppendError::TooManyQueues { .. } => {
                ResponseCode::InvalidParameter
            }
            AppendError::TooLarge { .. } => ResponseCode::MessageIllegal,
            AppendError::Busy { .. } | AppendError::NoSegment => return busy(&error),
            AppendError::Full => return disk_full(&error.to_string()),
            AppendError::NoFile { .. }
            | AppendError::Recovering
            | AppendError::Elsewhere
            | AppendError::Failed
            | AppendError::Stopped => {
                let remark = format!("service not available now. {error}");
                return Self::new(ResponseCode::ServiceNotAvailable, remark);
            }
        };
        Self::new(code, error.to_string())
    }
}

/// A matter of milliseconds: the log takes more soon.
fn busy(error: &AppendError) -> Refusal {
    let why = match error {
        AppendError::Busy { queued, max } => {
            format!("{queued} bytes wait for the disk, maxQueuedBytes is {max}")
        }
        other => other.to_string(),
    };
    let remark = format!("[OVERLOAD]broker busy, start flow control for a while: {why}");
    Refusal::new(ResponseCode::SystemBusy, remark)
}

/// The disk is too full for more, in the words of RocketMQ 5.5.0, class SendMessageProcessor; `why` stands where the
/// shares of the disk that are in use stand there, and says what to do.
pub fn disk_full(why: &str) -> Refusal {
    let remark = format!(
        "service not available now. It may be caused by one of the following reasons: the broker's disk is full \
         [{why}], messages are put to the slave, message store has been shut down, etc."
    );
    Refusal::new(ResponseCode::ServiceNotAvailable, remark)
}

/// No such topic on this broker.
pub fn no_topic(topic: &str) -> Refusal {
    let remark = format!("topic[{topic}] not exist, apply first please!");
    Refusal::new(ResponseCode::TopicNotExist, remark)
}

/// What a failed read is answered with.
pub fn unread(error: &ReadError) -> Refusal {
    Refusal::new(ResponseCode::SystemError, error.to_string())
}

/// More reads from the disk wait than may.
pub fn too_many_reads(max: usize) -> Refusal {
    let remark = format!("[OVERLOAD]broker busy, {max} reads already wait for the disk; ask again");
    Refusal::new(ResponseCode::SystemBusy, remark)
}

/// More pulls wait for a message than may.
pub fn too_many_held() -> Refusal {
    let remark = format!(
        "[OVERLOAD]broker busy, {MAX_HELD_PULLS} pulls already wait for messages, which is the limit of a shard; ask again \
         later, or spread the queues over more shards"
    );
    Refusal::new(ResponseCode::SystemBusy, remark)
}

/// Why nothing new is taken while leadership is handed over.
pub const MAKES_PLACE: &str =
    "it is making place for another leader; send to that one, or to another broker";

/// Whether the shard takes what goes to the log: it is up, and leads its group if it has one, and is not about to hand that over.
///
/// # Errors
/// Code 14, which sends a producer to another broker.
pub fn check_phase(shard: &Shard) -> Result<(), Refusal> {
    let makes_place = || shard.replica.as_ref().is_some_and(Replica::is_making_place);
    let why = match shard.phase.get() {
        Phase::Serving if shard.check_office().is_ok() && makes_place() => MAKES_PLACE,
        Phase::Serving => return shard.check_office(),
        Phase::Recovering => "its log is being recovered",
        Phase::Failed => {
            "its log has failed, messages can only be read; its standard output (the journal, the log of its container) says why"
        }
        Phase::Stopping => "it is being stopped",
    };
    let name = &shard.identity.name;
    let remark = format!("service not available now. broker {name} takes no messages: {why}");
    Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark))
}
