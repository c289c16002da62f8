//! SEND_MESSAGE (10, 310): from the receive buffer into the open batch, once, and the answer when the
//! batch is committed.
//!
//! A message with WAIT=false is answered at the same moment as any other: its offset is known only when
//! its batch is placed, and placing and writing are one step of the log.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use model::{Draft, UnixMillis, message_id, properties as property};
use remoting::command::{EncodeExt, ExtSink};
use remoting::header::send::{SendHeader, SendReply};
use remoting::header::{DecodeExt, HeaderError};
use remoting::{CommandRef, RequestCode, ResponseCode};
use runtime::Instant;
use storage::AppliedRecord;
use transport::Connection;

use super::commands::TopicConfig;
use super::completions::Completion;
use super::notices::{self, Notice};
use super::properties::{self, Wishes};
use super::refusals::{check_phase, code_of};
use super::reply::{Caller, Refusal};
use super::unique_key::UniqueKeys;
use super::{Shard, batch, send_rules, topics};
use crate::config::Config;

pub use super::batch::BatchSender;

/// What a shard's sends share: the pairs that the broker adds to every message, and its keys.
pub struct Stamp {
    pairs: Vec<u8>,
    keys: UniqueKeys,
    /// Property texts without what is not the client's, reused.
    scratch: RefCell<Vec<u8>>,
}

impl Stamp {
    /// The stamp of a broker of this configuration.
    #[must_use]
    pub fn new(config: &Config, keys: UniqueKeys) -> Self {
        let mut pairs = Vec::new();
        property::append(&mut pairs, property::MSG_REGION, &config.region);
        property::append(&mut pairs, property::TRACE_ON, trace_text(config.trace_on));
        property::append(&mut pairs, property::CLUSTER, &config.cluster);
        Self { pairs, keys, scratch: RefCell::default() }
    }
}

fn trace_text(on: bool) -> &'static str {
    if on { "true" } else { "false" }
}

/// The fields that every answer to a send carries, refusals too.
pub struct Region<'a>(pub &'a Config);

impl EncodeExt for Region<'_> {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        sink.text(property::MSG_REGION, &self.0.region);
        sink.text(property::TRACE_ON, trace_text(self.0.trace_on));
    }
}

/// The sender of a message that is on its way into the log.
pub struct Sender {
    /// Who waits.
    pub caller: Caller,
    /// The message's unique key.
    pub unique_key: Box<str>,
    /// When it arrived.
    pub since: Instant,
}

impl Sender {
    /// Answers: the message is stored.
    pub fn stored(&self, shard: &Shard, record: &AppliedRecord) {
        let id = message_id::message_id(shard.identity.address, record.physical);
        answer_stored(
            shard,
            &self.caller,
            &id,
            record,
            record.queue_offset,
            Some(&self.unique_key),
        );
    }
}

/// Answers a send that is stored. `offset` is the queue offset of the first message.
pub fn answer_stored(
    shard: &Shard,
    caller: &Caller,
    ids: &str,
    record: &AppliedRecord,
    offset: model::QueueOffset,
    unique_key: Option<&str>,
) {
    let reply = SendReply {
        msg_id: ids,
        queue_id: record.queue.0.cast_signed(),
        queue_offset: offset.0.cast_signed(),
        transaction_id: unique_key,
        batch_uniq_id: None,
        recall_handle: None,
        region: Some(&shard.config.region),
        trace_on: Some(shard.config.trace_on),
    };
    caller.ok(&reply);
}

/// Answers a send that is not stored.
pub fn answer_refused(shard: &Shard, caller: &Caller, refusal: &Refusal) {
    shard.stats.refused();
    caller.answer(refusal.code, Some(&refusal.remark), &Region(&shard.config), &[]);
}

/// SEND_MESSAGE (10), SEND_MESSAGE_V2 (310). Answered when the message is committed.
pub fn send(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, body: Bytes) {
    let caller = Caller::of(connection, request);
    let header = SendHeader::decode(code_of(request), &request.ext);
    answer_if_refused(shard, &caller, header, |header| match header.batch {
        true => batch::place(shard, &caller, header, &body),
        false => place(shard, &caller, header, &body),
    });
}

/// SEND_BATCH_MESSAGE (320). Answered when the last message is committed.
pub fn send_batch(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    body: Bytes,
) {
    let caller = Caller::of(connection, request);
    let header = SendHeader::decode(RequestCode::SendBatchMessage, &request.ext);
    answer_if_refused(shard, &caller, header, |header| batch::place(shard, &caller, header, &body));
}

/// Does `place`, and answers when that refuses. Whoever sends oneway hears nothing: the log is told instead.
fn answer_if_refused<'a>(
    shard: &Shard,
    caller: &Caller,
    header: Result<SendHeader<'a>, HeaderError>,
    place: impl FnOnce(&SendHeader<'a>) -> Result<(), Refusal>,
) {
    let topic = header.as_ref().map_or("", |header| header.topic);
    let Err(refusal) = header.as_ref().map_err(|error| error.clone().into()).and_then(place) else {
        return;
    };
    if caller.is_oneway() {
        notices::note(shard, Notice::OnewayRefused(refusal.code), || {
            oneway_text(topic, caller, &refusal)
        });
    }
    answer_refused(shard, caller, &refusal);
}

/// What the log says of a oneway send that was refused.
fn oneway_text(topic: &str, caller: &Caller, refusal: &Refusal) -> String {
    format!(
        "a oneway send to topic {} from {} is refused with code {} and lost, and its producer is not told: {}. \
         Mend the cause; a producer that must know sends with an answer (send, not sendOneway)",
        notices::name(topic),
        caller.connection().peer(),
        refusal.code.code(),
        refusal.remark.escape_debug(),
    )
}

/// A send is refused because of what this node is, or is not, at the moment.
fn count_refusal(shard: &Shard) {
    if let Some(replica) = &shard.replica {
        replica.tally.sends_refused.add(1);
    }
}

/// The checks that come before a look at the message itself, in RocketMQ's order.
///
/// # Errors
/// What to answer.
pub fn check(shard: &Shard, header: &SendHeader<'_>) -> Result<Rc<TopicConfig>, Refusal> {
    check_phase(shard).inspect_err(|_| count_refusal(shard))?;
    shard.disk.check(shard)?;
    send_rules::check_name(header.topic, shard.config.max_topic_length)?;
    let queues = header.default_topic_queue_nums;
    let topic = topics::find_or_create(shard, header.topic, header.default_topic, queues)?;
    send_rules::check_permission(shard.config.permission, shard.identity.address, &topic)?;
    Ok(topic)
}

/// The queue for a message of `topic`.
///
/// # Errors
/// Code 29 when there is no such queue.
pub fn choose_queue(
    caller: &Caller,
    topic: &TopicConfig,
    header: &SendHeader<'_>,
) -> Result<model::QueueId, Refusal> {
    send_rules::queue(topic, header.queue_id, caller.connection().peer(), |below| {
        u32::try_from(runtime::random_below(u64::from(below))).expect("below a 32-bit number")
    })
}

fn place(
    shard: &Rc<Shard>,
    caller: &Caller,
    header: &SendHeader<'_>,
    body: &[u8],
) -> Result<(), Refusal> {
    let since = runtime::now();
    let topic = check(shard, header)?;
    let queue_id = choose_queue(caller, &topic, header)?;
    if let Some(group) = send_rules::retry_group(header.topic) {
        let groups = shard.groups.borrow();
        let (times, max) = (header.reconsume_times, header.max_reconsume_times);
        send_rules::check_retry(group, groups.find(group).map(Rc::as_ref), times, max)?;
    }
    let now = runtime::unix_millis();
    let text = header.properties.unwrap_or("").as_bytes();
    let wishes = properties::look(text, now);
    send_rules::check_wishes(&wishes, header.sys_flag)?;
    let unique_key = with_properties(shard, text, &wishes, now, |text, added, unique_key| {
        let draft = Draft {
            topic: header.topic,
            queue_id,
            flag: header.flag,
            sys_flag: sys_flag(header, &topic),
            born_time: born_time(header),
            born_host: caller.connection().peer(),
            store_host: shard.identity.address,
            reconsume_times: header.reconsume_times,
            prepared_offset: 0,
            body,
            properties: text,
            more_properties: added,
        };
        let longest = send_rules::longest_body(shard.config.max_message, header.sys_flag);
        send_rules::check_lengths(body.len(), longest, draft.properties_len())?;
        shard.store.append_message(&draft)?;
        Ok::<Box<str>, Refusal>(unique_key.into())
    })?;
    let completion = match caller.is_oneway() {
        true => Completion::OnewayMessage(since),
        false => Completion::Message(Sender { caller: caller.clone(), unique_key, since }),
    };
    shard.completions.borrow_mut().push(completion);
    Ok(())
}

/// Calls `then` with the client's property text, the pairs that the broker adds, and the unique key.
pub fn with_properties<T>(
    shard: &Shard,
    text: &[u8],
    wishes: &Wishes<'_>,
    now: u64,
    then: impl FnOnce(&[u8], &[u8], &str) -> T,
) -> T {
    let stamp = &shard.stamp;
    let mut scratch = stamp.scratch.borrow_mut();
    let text = match wishes.has_foreign {
        true => {
            properties::without_foreign(text, &mut scratch);
            scratch.as_slice()
        }
        false => text,
    };
    if let Some(key) = wishes.unique_key {
        return then(text, &stamp.pairs, key);
    }
    let key = stamp.keys.next(now);
    let mut added = stamp.pairs.clone();
    property::append(&mut added, property::UNIQ_KEY, &key);
    then(text, &added, &key)
}

/// The flags that a message is stored with.
#[must_use]
pub fn sys_flag(header: &SendHeader<'_>, topic: &TopicConfig) -> i32 {
    match topic.multi_tag {
        true => header.sys_flag | model::sys_flag::MULTI_TAGS,
        false => header.sys_flag,
    }
}

/// When the client made the message; a time before 1970 counts as 1970.
#[must_use]
pub fn born_time(header: &SendHeader<'_>) -> UnixMillis {
    UnixMillis(u64::try_from(header.born_timestamp).unwrap_or(0))
}

/// What a sender gets whose message was in the log when the log failed.
#[must_use]
pub fn lost(shard: &Shard) -> Refusal {
    let name = &shard.identity.name;
    let remark = format!(
        "service not available now. The log of broker {name} failed while the message was being \
         written; whether it was stored is unknown. Send it to another broker"
    );
    Refusal::new(ResponseCode::ServiceNotAvailable, remark)
}
