//! QUERY_CONSUMER_OFFSET (14) and UPDATE_CONSUMER_OFFSET (15).
//!
//! What was acknowledged or told never goes back: an update that is answered is committed before, and a
//! query is answered from what is committed, after the group's pending updates are. A oneway update waits
//! for at most [`OFFSETS_EVERY`] and goes to the log with all others. A query is answered with an offset, or that there is none, or
//! not at all ([`super::offset_questions`] says why).

use std::rc::Rc;

use bytes::Bytes;
use model::{QueueId, QueueOffset};
use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueryOffsetHeader, UpdateOffsetHeader};
use remoting::{Command, CommandRef, RequestCode, ResponseCode};
use runtime::Instant;
use runtime::channel::oneshot;
use storage::AppendError;
use transport::Connection;

use super::apply::Source;
use super::commands::{CONSUMER_OFFSETS, CommandError, ConsumerOffsets};
use super::completions::{Afterwards, Completion};
use super::offset_questions::{self, Place};
use super::refusals::{check_phase, code_of};
use super::replica::Replica;
use super::reply::{Caller, Refusal};
use super::{Phase, Shard};
use crate::limits::{OFFSETS_EVERY, YOUNG_QUEUE};

use super::offset_table::NotNoted;
pub use super::offset_table::OffsetTable as Offsets;

/// A question for a consumer offset that waits for updates under way, or until it is certain what the answer is.
pub struct OffsetQuestion {
    caller: Caller,
    group: String,
    topic: String,
    queue: QueueId,
    /// Whether a group without an offset may be told 0.
    set_zero: bool,
    /// When it came.
    since: Instant,
    _place: Place,
}

impl OffsetQuestion {
    fn new(caller: Caller, header: &QueryOffsetHeader<'_>, place: Place) -> Self {
        Self {
            caller,
            group: header.consumer_group.to_owned(),
            topic: header.topic.to_owned(),
            queue: QueueId(u32::try_from(header.queue_id).unwrap_or(u32::MAX)),
            set_zero: header.set_zero_if_not_found != Some(false),
            since: runtime::now(),
            _place: place,
        }
    }

    /// The request again, as a frame. `None` if it does not fit one: its text was shorter as it came.
    #[must_use]
    pub fn frame(&self) -> Option<Bytes> {
        let header = QueryOffsetHeader {
            consumer_group: &self.group,
            topic: &self.topic,
            queue_id: self.queue.0.cast_signed(),
            set_zero_if_not_found: Some(self.set_zero),
        };
        let request = Command::request(RequestCode::QueryConsumerOffset).with_ext(&header);
        let request = Command { opaque: self.caller.opaque(), ..request };
        let mut frame = Vec::new();
        request.encode(&mut frame).ok()?;
        Some(frame.into())
    }

    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether nobody waits for an answer any more: its connection was closed.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        !self.caller.connection().is_open()
    }

    /// When it came.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Answers it from what is committed.
    pub fn answer(&self, shard: &Shard) {
        let committed = shard.offsets.borrow().find(&self.group, &self.topic, self.queue);
        let offset = match committed {
            Some(offset) => Some(offset),
            None if self.set_zero && is_young(shard, &self.topic, self.queue) => {
                Some(QueueOffset(0))
            }
            None => None,
        };
        match offset {
            Some(offset) => self.caller.ok(&OffsetReply { offset: offset.0.cast_signed() }),
            None => self.caller.refuse(ResponseCode::QueryNotFound, not_found(self.set_zero)),
        }
    }
}

fn not_found(set_zero: bool) -> &'static str {
    if set_zero {
        "Not found, V3_0_6_SNAPSHOT maybe this consumer group boot first"
    } else {
        "Not found, do not set to zero, maybe this group boot first"
    }
}

/// Whether a queue still has its first message, and that message is recent: a new group then starts from
/// it, whatever it asks for. (RocketMQ 5.5.0, ConsumerManageProcessor.queryConsumerOffset; there "recent"
/// is 40 % of the machine's memory.)
fn is_young(shard: &Shard, topic: &str, queue: QueueId) -> bool {
    let has_first =
        shard.store.queue(topic, queue).is_some_and(|range| range.min == QueueOffset(0));
    let began = shard.store.queue_began(topic, queue).filter(|_| has_first);
    began.is_some_and(|began| shard.store.stats().max.since(began) <= YOUNG_QUEUE)
}

/// QUERY_CONSUMER_OFFSET (14).
pub fn query(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let header = match QueryOffsetHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let Some(place) = shard.offset_questions.place() else {
        return offset_questions::too_many(shard, &caller);
    };
    offset_questions::ask(shard, OffsetQuestion::new(caller, &header, place));
}

/// The question that a request is, to be handed on. `None` if it is none that can be read, or there is no place for one more: it is
/// handed on once then.
pub fn question(
    shard: &Shard,
    caller: &Caller,
    request: &CommandRef<'_>,
) -> Option<OffsetQuestion> {
    let code = code_of(request);
    let is_one = code == RequestCode::QueryConsumerOffset;
    let header = is_one.then(|| QueryOffsetHeader::decode(code, &request.ext).ok()).flatten()?;
    let place = shard.offset_questions.place()?;
    Some(OffsetQuestion::new(caller.clone(), &header, place))
}

/// Answers the question behind what the group has told before.
///
/// # Errors
/// The question: the log does not take what the group has told, which would not be in the answer.
pub fn answer_in_order(shard: &Shard, question: OffsetQuestion) -> Result<(), OffsetQuestion> {
    let has_pending = || shard.offsets.borrow().has_pending(&question.group);
    if has_pending() {
        propose(shard, Some(&question.group));
        // A log that has failed takes it never, and a restart would not know it either.
        if shard.phase.get() != Phase::Failed && has_pending() {
            return Err(question);
        }
    }
    if shard.offsets.borrow().is_under_way() {
        offset_questions::answer_afterwards(shard, question);
    } else {
        question.answer(shard);
    }
    Ok(())
}

/// UPDATE_CONSUMER_OFFSET (15).
pub fn update(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    if let Err(refusal) = try_update(shard, &caller, request) {
        if let Some(replica) = &shard.replica
            && caller.is_oneway()
            && refusal.code == ResponseCode::ServiceNotAvailable
        {
            replica.tally.commits_dropped.add(1);
        }
        refusal.send(&caller);
    }
}

fn try_update(shard: &Rc<Shard>, caller: &Caller, request: &CommandRef<'_>) -> Result<(), Refusal> {
    let header = UpdateOffsetHeader::decode(code_of(request), &request.ext)?;
    // Before a graceful stop, and before another member leads, consumers bring their last offsets: they are still taken. While another
    // one is asked to lead they wait, and go to whoever leads then (`replica::forward`).
    let makes_place = shard.replica.as_ref().is_some_and(Replica::is_making_place);
    if shard.phase.get() != Phase::Stopping && !makes_place {
        check_phase(shard)?;
    }
    shard.check_append()?;
    let (group, topic) = (header.consumer_group, header.topic);
    let unknown = || Refusal::new(ResponseCode::TopicNotExist, format!("Topic {topic} not exist!"));
    shard.topics.borrow().find_applied(topic).ok_or_else(unknown)?;
    note(shard, group, topic, header.queue_id, header.commit_offset)?;
    if caller.is_oneway() {
        return Ok(());
    }
    propose_group(shard, group)?;
    shard.afterwards(Afterwards::Answer(caller.clone()));
    Ok(())
}

/// Notes a group's offset, to be proposed within [`OFFSETS_EVERY`].
///
/// # Errors
/// Code 26 for a group that is not there, or is being deleted; 29 for a queue that is not there and a negative offset, 2 when too many
/// offsets wait.
pub fn note(
    shard: &Shard,
    group: &str,
    topic: &str,
    queue: i32,
    offset: i64,
) -> Result<(), Refusal> {
    shard.check_append()?;
    if shard.groups.borrow().find(group).is_none() {
        let remark = format!("Group {group} not exist!");
        return Err(Refusal::new(ResponseCode::SubscriptionGroupNotExist, remark));
    }
    let parameter =
        |what: &str, value: i64| Refusal::parameter(format!("{what} is {value}, topic is {topic}"));
    let queue = u32::try_from(queue)
        .ok()
        .map(QueueId)
        .filter(|queue| shard.store.queue(topic, *queue).is_some())
        .ok_or_else(|| parameter("QueueId", queue.into()))?;
    let offset = u64::try_from(offset).map_err(|_| parameter("Offset", offset))?;
    let noted = shard.offsets.borrow_mut().note(group, topic, queue, QueueOffset(offset));
    noted.map_err(|error| {
        let code = match error {
            NotNoted::Pending => ResponseCode::SystemBusy,
            NotNoted::Kept => ResponseCode::SystemError,
        };
        Refusal::new(code, error.to_string())
    })
}

/// Proposes the pending offsets of a group, or of all. What the log does not take now stays pending.
pub fn propose(shard: &Shard, group: Option<&str>) {
    if shard.check_append().is_ok() {
        append_pending(shard, group);
    }
}

/// The same in office, though another member is about to be asked to lead: it is not yet.
fn append_pending(shard: &Shard, group: Option<&str>) {
    let commands = shard.offsets.borrow_mut().take(group);
    for command in commands {
        match shard.store.append_command(CONSUMER_OFFSETS, &command.to_bytes()) {
            Ok(()) => {
                shard.reserve_is_spent.set(false);
                shard.completions.borrow_mut().push(Completion::Silent);
                shard.offsets.borrow_mut().proposed();
            }
            Err(error) => {
                let name = &shard.identity.name;
                if error == AppendError::Full && !shard.reserve_is_spent.replace(true) {
                    tracing::warn!(
                        shard = %name,
                        "what the log keeps for consumer offsets and topics on a full disk is used up: offsets wait in memory, \
                         and a restart forgets those. Free some space"
                    );
                }
                tracing::debug!(shard = %name, %error, "consumer offsets wait");
                shard.offsets.borrow_mut().put_back(command);
            }
        }
    }
}

/// Proposes the pending offsets of a group.
///
/// # Errors
/// The log does not take them all now; they stay pending.
pub fn propose_group(shard: &Shard, group: &str) -> Result<(), Refusal> {
    propose(shard, Some(group));
    if !shard.offsets.borrow().has_pending(group) {
        return Ok(());
    }
    if shard.store.stats().full {
        return Err(AppendError::Full.into());
    }
    let remark =
        "[OVERLOAD]broker busy, the log does not take the group's offsets now; try it again";
    Err(Refusal::new(ResponseCode::SystemBusy, remark))
}

/// Proposes all pending offsets, and waits for the log while it is busy: for a graceful stop, after which nobody
/// would commit them again. Returns early only when the log has failed.
pub async fn propose_all(shard: &Rc<Shard>) {
    loop {
        if shard.check_office().is_err() {
            return; // another one leads: consumers tell that one
        }
        append_pending(shard, None);
        let left = shard.offsets.borrow().pending();
        if left == 0 {
            return;
        }
        if shard.phase.get() == Phase::Failed || shard.completions.borrow().is_empty() {
            let shard = &shard.identity.name;
            tracing::warn!(%shard, left, "the log does not take the last consumer offsets: some messages may come again");
            return;
        }
        let (done, committed) = oneshot();
        shard.afterwards(Afterwards::Wake(done));
        // An error means that the log failed, which the next round sees.
        let (Ok(()) | Err(_)) = committed.await;
    }
}

/// Proposes pending offsets every [`OFFSETS_EVERY`], until the shard stops or fails.
pub async fn propose_regularly(shard: Rc<Shard>) {
    while shard.phase.get() == Phase::Serving {
        runtime::sleep(OFFSETS_EVERY).await;
        propose(&shard, None);
    }
}

/// Committed offsets.
///
/// # Errors
/// Another version wrote them.
pub fn applied(shard: &Shard, payload: &[u8], source: Source) -> Result<(), CommandError> {
    let command = ConsumerOffsets::from_bytes(payload)?;
    let topics = shard.topics.borrow();
    let exists = |topic: &str| topics.find_applied(topic).is_some();
    shard.offsets.borrow_mut().apply(command, source.is_foreign(), exists);
    Ok(())
}
